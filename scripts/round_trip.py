r"""Sends a sound or a picture through the model's tokenizers and back: hear and see what it can say and draw at best.

    python -m scripts.round_trip speech.wav back.wav
    python -m scripts.round_trip picture.png back.png

Any sound file that FFmpeg reads comes back as WAV, frame by frame as in a live session, at 64 bits a quarter of a
second. Any JPEG, PNG or WebP comes back as PNG, square, of the size that the model draws.
"""

import argparse
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from model.backends import Backend, install
from model.checkpoint import load_checkpoint
from model.config import ModelConfig
from model.network import Network
from model.pixels import Fit, to_pixels
from model.tokenizers.codec_round_trip import through_codec
from streams.resample import float_to_pcm16
from streams.types import SAMPLE_RATE_HZ, Samples
from streams.video import decode_image, encode_png

PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def main(arguments: Sequence[str] | None = None) -> int:
    """1 and a line of text where it fails."""
    options = parser().parse_args(arguments)
    try:
        if options.source.suffix.lower() in PICTURES:
            print(picture_round_trip(with_part(options.weights, "image_vq"), options.source, options.target))
        else:
            print(sound_round_trip(with_part(options.weights, "audio_codec"), options.source, options.target))
    except (ValueError, OSError, av.FFmpegError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def with_part(weights: Path, part: str) -> Network:
    """The model with this part of it loaded. Raises ValueError unless the part is trained."""
    checkpoint = load_checkpoint(weights)
    if part in checkpoint.description.untrained:
        raise ValueError(f"{weights}: {part} was never trained")
    network = Network(ModelConfig.from_json(checkpoint.model), with_decoder=False)
    if getattr(network, part) is None:
        raise ValueError(f"{weights}: the model has no {part}")
    network.init(checkpoint.init_seed)
    names = [name for name in checkpoint.tensors if name.startswith(f"{part}.")]
    install(network, {name: checkpoint.tensors[name] for name in names}, Backend.DEQUANTIZED)
    network.prepare_for_inference()
    return network


def sound_round_trip(network: Network, source: Path, target: Path) -> str:
    """Returns a line that says what it cost."""
    codec = network.audio_codec
    assert codec is not None, "looked at when loaded"
    pcm = read_sound(source)
    codes_FK, back = through_codec(codec, pcm)
    with wave.open(str(target), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        file.writeframes(float_to_pcm16(back).tobytes())
    seconds = len(pcm) / SAMPLE_RATE_HZ
    return f"{seconds:.2f} s in {len(codes_FK)} frames of {codes_FK.shape[1]} codes, {target} written"


def read_sound(path: Path) -> Samples:
    """The first sound track, mono at 24 kHz. Raises av.FFmpegError or ValueError where there is none."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    with av.open(str(path)) as file:
        if not file.streams.audio:
            raise ValueError(f"{path} holds no sound")
        frames = [out for frame in file.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    parts = [frame.to_ndarray()[0] for frame in frames]
    if not sum(map(len, parts)):
        raise ValueError(f"{path} holds no sound")
    return np.clip(np.nan_to_num(np.concatenate(parts)), -1.0, 1.0).astype(np.float32)


def picture_round_trip(network: Network, source: Path, target: Path) -> str:
    tokenizer = network.image_vq
    assert tokenizer is not None, "looked at when loaded"
    pixels_CHW = to_pixels(decode_image(source.read_bytes()), tokenizer.config.side_px, Fit.PAD)
    ids = tokenizer.encode(pixels_CHW[None]).flatten().tolist()
    target.write_bytes(encode_png(network.render(ids)))
    return f"{len(ids)} ids of {tokenizer.config.codebook_size}, {target} written"


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("source", type=Path, help="a sound or a picture")
    result.add_argument("target", type=Path, help="WAV or PNG to write")
    result.add_argument("--weights", type=Path, default=Path("weights/nano"), help="checkpoint (default %(default)s)")
    return result


if __name__ == "__main__":
    sys.exit(main())
