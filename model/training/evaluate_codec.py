"""How the audio codec does on sentences that no training saw: a table, and pictures of spectra.

    python -m model.training.evaluate_codec --weights runs/vocoder-nano/export --judge data/whisper_base \\
        --where.data data --out runs/codec_figures

Word error rates by Whisper and opinions by DNSMOS of the sound itself, of the codec frame by frame, of the codec
without rounding, and of Codec 2 at 700 bit/s (the programs `c2enc` and `c2dec`). Bits a frame carries, and milliseconds
it takes on one core. `--judge` is a model in faster-whisper's format, of Whisper base.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import soxr
import torch
import tyro
from tqdm import tqdm

from model.init import init_weights
from model.tokenizers.audio_codec import CODECS, AudioCodec
from model.tokenizers.codec_round_trip import its_part, through_codec, whole_frames
from model.tokenizers.quantizer import GRID_LEVELS, GaussianGridQuantizer, codes_to_levels
from model.training.codec_pictures import draw_spectra
from model.training.codec_weights import load_parts
from model.training.data.clip import SpeechClip
from model.training.held_out_speech import HeldOutSpeech, clips_by_group
from model.training.judges import DnsmosJudge, WhisperJudge
from model.training.spelling import word_errors
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK, Samples

CODEC2_RATE_HZ = 8_000
TIMED_FRAMES, WARM_UP_FRAMES = 200, 20
SENTENCES_DRAWN = 2


@dataclass(frozen=True)
class Arguments:
    """Options of the command."""

    weights: Path  # export of `vocoder`, or a checkpoint
    judge: Path  # Whisper base in faster-whisper's format
    out: Path
    where: HeldOutSpeech = field(default_factory=HeldOutSpeech)
    codec: str = "speech"  # speech, light or seed


@dataclass(frozen=True, slots=True)
class Heard:
    """What the judges said of one group of voices through one system."""

    word_error_rate: float
    signal: float
    overall: float


def main() -> None:
    arguments = tyro.cli(Arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    codec = AudioCodec(CODECS[arguments.codec]())
    init_weights(codec, 0)
    load_parts(codec, arguments.weights, ("",))
    codec.eval().requires_grad_(False)
    codec.fold_weight_norm()
    arguments.out.mkdir(parents=True, exist_ok=True)
    groups = clips_by_group(arguments.where)
    judge, opinions = WhisperJudge(arguments.judge, arguments.out / "readings.json"), DnsmosJudge()
    systems = systems_of(codec)
    heard: dict[str, dict[str, Heard]] = {}
    for group, sentences in groups.items():
        heard[group] = {}
        for name, system in systems.items():
            sounds = [system(sentence.pcm) for sentence in tqdm(sentences, f"{group}: {name}", leave=False)]
            heard[group][name] = listen(sentences, sounds, judge, opinions)
            print(f"{group}, {name}: {heard[group][name]}", flush=True)
    first = next(iter(groups.values()))
    for number, sentence in enumerate(first[:SENTENCES_DRAWN]):
        sounds = {name: system(sentence.pcm) for name, system in systems.items()}
        draw_spectra(arguments.out / f"sentence-{number}.png", sounds, sentence.text)
    bits = entropy_bits(codec, [sentence.pcm for sentence in first])
    encode_ms, decode_ms = milliseconds(codec, first[0].pcm)
    table = table_of(heard, bits, encode_ms, decode_ms)
    (arguments.out / "codec.md").write_text(table)
    figures = {
        group: {name: [each.word_error_rate, each.signal, each.overall] for name, each in by_name.items()}
        for group, by_name in heard.items()
    }
    timing = {"bits": bits, "encode_ms": encode_ms, "decode_ms": decode_ms}
    (arguments.out / "figures.json").write_text(json.dumps({"heard": figures, **timing}, indent=1))
    print(table)


def systems_of(codec: AudioCodec) -> dict[str, Callable[[Samples], Samples]]:
    """What the judges compare."""
    systems: dict[str, Callable[[Samples], Samples]] = {
        "original": lambda pcm: pcm,
        "codec": lambda pcm: through_codec(codec, pcm)[1],
    }
    if isinstance(codec.quantizer, GaussianGridQuantizer):
        systems["codec without rounding"] = lambda pcm: without_rounding(codec, pcm)
    return systems | {"Codec 2, 700 bit/s": through_codec2}


@torch.no_grad()
def without_rounding(codec: AudioCodec, pcm: Samples) -> Samples:
    norm = codec.quantizer.norm
    z_BFD = codec.encoder(whole_frames(codec, pcm)[:, None])
    spread_BFD = 2.0 * torch.special.ndtr(norm(z_BFD.flatten(0, 1))).unflatten(0, z_BFD.shape[:2]) - 1.0
    return its_part(codec, codec.decoder(spread_BFD)[0, 0].clamp(-1.0, 1.0), len(pcm))


def through_codec2(pcm: Samples) -> Samples:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        narrow = np.clip(soxr.resample(pcm, SAMPLE_RATE_HZ, CODEC2_RATE_HZ), -1.0, 1.0)
        (folder / "in.raw").write_bytes((narrow * 32_767).astype("<i2").tobytes())
        for program, source, target in (("c2enc", "in.raw", "bits"), ("c2dec", "bits", "out.raw")):
            subprocess.run(
                [program, "700C", str(folder / source), str(folder / target)], check=True, capture_output=True
            )
        decoded = np.frombuffer((folder / "out.raw").read_bytes(), "<i2").astype(np.float32) / 32_768
    return soxr.resample(decoded, CODEC2_RATE_HZ, SAMPLE_RATE_HZ)


def listen(
    sentences: Sequence[SpeechClip], sounds: Sequence[Samples], judge: WhisperJudge, opinions: DnsmosJudge
) -> Heard:
    errors = [word_errors(sentence.text, judge.read(sound)) for sentence, sound in zip(sentences, sounds, strict=True)]
    scores = np.array([opinions.score(sound) for sound in sounds])
    wrong, words = np.array(errors).sum(axis=0)
    return Heard(float(wrong / words), *(float(mean) for mean in scores.mean(axis=0)))


def entropy_bits(codec: AudioCodec, sounds: Sequence[Samples]) -> tuple[float, float]:
    """Bits of a frame, from above: its digits counted as if they were independent, and as the best tree binds them.

    A digit is one dimension of a grid, or one code of a codebook. Whole frames hardly come twice in any recording, so
    their own distribution cannot be counted; a tree over pairs can (Chow and Liu, 1968).
    """
    codes_NK = torch.cat([codec.encode(torch.from_numpy(pcm)[None])[0] for pcm in sounds])
    config = codec.config.quantizer
    if isinstance(codec.quantizer, GaussianGridQuantizer):
        digits_ND, size = codes_to_levels(codes_NK, config.codebook_size), GRID_LEVELS
    else:
        digits_ND, size = codes_NK, config.codebook_size
    alone = [entropy(column) for column in digits_ND.unbind(dim=1)]
    shared = {
        (one, other): max(0.0, alone[one] + alone[other] - entropy(digits_ND[:, one] * size + digits_ND[:, other]))
        for one in range(len(alone))
        for other in range(one + 1, len(alone))
    }
    bound = list(range(len(alone)))  # which tree each digit is in, by the number of one of its digits
    saved = 0.0
    for (one, other), bits in sorted(shared.items(), key=lambda item: -item[1]):
        if bound[one] != bound[other]:
            saved += bits
            bound = [bound[one] if tree == bound[other] else tree for tree in bound]
    return sum(alone), sum(alone) - saved


def entropy(symbols: torch.Tensor) -> float:
    """Bits of one symbol, by counting."""
    shares = symbols.unique(return_counts=True)[1].double() / len(symbols)
    return float(-(shares * shares.log2()).sum())


def milliseconds(codec: AudioCodec, pcm: Samples) -> tuple[float, float]:
    """Medians of encoding and of decoding one frame: time of this thread, so that other programs do not count."""
    frames = whole_frames(codec, pcm).split(SAMPLES_PER_TICK, dim=-1)
    encoder_state, decoder_state = codec.encoder_state(), codec.decoder_state()
    encode_s, decode_s = [], []
    for number in range(WARM_UP_FRAMES + TIMED_FRAMES):
        begun = time.thread_time()
        codes_BK, encoder_state = codec.encode_frame(encoder_state, frames[number % len(frames)][:, None])
        encoded = time.thread_time()
        _, decoder_state = codec.decode_frame(decoder_state, codes_BK)
        encode_s.append(encoded - begun)
        decode_s.append(time.thread_time() - encoded)
    return 1e3 * median(encode_s[WARM_UP_FRAMES:]), 1e3 * median(decode_s[WARM_UP_FRAMES:])


def table_of(
    heard: Mapping[str, Mapping[str, Heard]], bits: tuple[float, float], encode_ms: float, decode_ms: float
) -> str:
    lines = [
        "| voices | through | word error rate | DNSMOS signal | DNSMOS overall |",
        "|---|---|---|---|---|",
    ]
    for group, by_name in heard.items():
        for name, each in by_name.items():
            lines.append(
                f"| {group} | {name} | {100 * each.word_error_rate:.1f} % | {each.signal:.2f} | {each.overall:.2f} |"
            )
    speed = f"encoding {encode_ms:.1f} ms + decoding {decode_ms:.1f} ms, medians on one core"
    return "\n".join(
        [*lines, "", f"A frame: {bits[0]:.1f} bits by its digits, {bits[1]:.1f} bound in a tree; {speed}.", ""]
    )


if __name__ == "__main__":
    main()
