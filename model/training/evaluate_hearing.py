"""What can be read from the audio encoder's features by one linear layer, on voices that no training heard; a table.

    python -m model.training.evaluate_hearing --weights runs/audio_encoder-nano/export --whisper data/whisper_tiny \\
        --where.data data --out runs/hearing_figures

The encoder runs tick by tick, as served, and the reader of its training stage takes the best letter of each moment: no
language model, no search. `--whisper` is Whisper tiny in faster-whisper's format: it hears the whole sentence at once,
has a decoder that knows English, and is the bar. Every sentence is heard as it is, and through rooms, noise and
telephones.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro
from tqdm import tqdm

from model.init import init_weights
from model.parts import load_part, load_reader
from model.presets import PRESETS
from model.training.data.augment import augmented
from model.training.data.clip import SpeechClip
from model.training.data.seeding import random_for
from model.training.held_out_speech import HeldOutSpeech, clips_by_group
from model.training.spelling import read_greedily, word_error_rate
from model.training.stages.audio_encoder import HearingConfig, Reader
from model.training.timing import median_ms
from streams.types import SAMPLES_PER_TICK, Samples

TIMED_TICKS, WARM_UP_TICKS = 100, 10
LEAD, TAIL = SAMPLES_PER_TICK, SAMPLES_PER_TICK  # silence before and after, which a session has


@dataclass(frozen=True)
class Arguments:
    """Options of the command."""

    weights: Path  # export of `audio_encoder`, or a checkpoint
    out: Path
    whisper: Path | None = None  # Whisper tiny in faster-whisper's format
    preset: str = "nano"
    where: HeldOutSpeech = field(default_factory=HeldOutSpeech)


def main() -> None:
    arguments = tyro.cli(Arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    reader = reader_of(arguments.weights, arguments.preset)
    arguments.out.mkdir(parents=True, exist_ok=True)
    systems: dict[str, Callable[[Samples], str]] = {"linear reader": lambda pcm: read(reader, pcm)}
    if arguments.whisper is not None:
        from model.training.judges import WhisperJudge  # the rival is an optional dependency

        systems["Whisper tiny"] = WhisperJudge(arguments.whisper, arguments.out / "readings.json").read
    errors: dict[str, dict[str, dict[str, float]]] = {}
    for group, clips in clips_by_group(arguments.where).items():
        errors[group] = {}
        for condition, heard in {"clean": clips, "disturbed": disturbed(clips)}.items():
            errors[group][condition] = {
                name: error_rate(system, heard, f"{group}, {condition}: {name}") for name, system in systems.items()
            }
            print(f"{group}, {condition}: {errors[group][condition]}", flush=True)
    tick_ms = milliseconds(reader)
    (arguments.out / "figures.json").write_text(json.dumps({"errors": errors, "tick_ms": tick_ms}, indent=1))
    table = table_of(errors, tick_ms)
    (arguments.out / "hearing.md").write_text(table)
    print(table)


def reader_of(weights: Path, preset: str) -> Reader:
    """The encoder and its linear reader. Raises ValueError where the preset has no encoder."""
    config = PRESETS[preset]().audio_encoder
    if config is None:
        raise ValueError(f"the model {preset!r} has no audio encoder")
    reader = Reader(config, HearingConfig().moments_per_position)
    init_weights(reader, 0)  # the window and the bands of the front end, which no file holds
    load_part(reader.encoder, weights, "audio_encoder")
    load_reader(reader.letters, weights, "audio_encoder")
    return reader.eval().requires_grad_(False)


def read(reader: Reader, pcm: Samples) -> str:
    """Tick by tick."""
    features_BPD = reader.encoder.encode(torch.from_numpy(np.pad(pcm, (LEAD, TAIL)))[None])
    scores_BTV = reader.spell(features_BPD)
    return read_greedily(scores_BTV, [scores_BTV.shape[1]])[0]


def disturbed(clips: Sequence[SpeechClip]) -> list[SpeechClip]:
    """The same clips as they might be heard, the same at every call."""
    return [augmented(clip, random_for("evaluate_hearing", number)) for number, clip in enumerate(clips)]


def error_rate(system: Callable[[Samples], str], clips: Sequence[SpeechClip], what: str) -> float:
    """Word errors over words."""
    readings = [system(clip.pcm) for clip in tqdm(clips, what, leave=False)]
    return word_error_rate([clip.text for clip in clips], readings)


def milliseconds(reader: Reader) -> float:
    """Median of hearing one tick, some way into a session."""
    state = reader.encoder.encoder_state()
    frame_B1T = 0.1 * torch.randn(1, 1, SAMPLES_PER_TICK, generator=torch.Generator().manual_seed(0))
    for _ in range(WARM_UP_TICKS):
        _, state = reader.encoder.encode_frame(state, frame_B1T)
    return median_ms(lambda: reader.encoder.encode_frame(state, frame_B1T), TIMED_TICKS)


def table_of(errors: Mapping[str, Mapping[str, Mapping[str, float]]], tick_ms: float) -> str:
    names = list(next(iter(next(iter(errors.values())).values())))
    lines = [f"| voices | sound | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for group, by_condition in errors.items():
        for condition, by_name in by_condition.items():
            lines.append(f"| {group} | {condition} | {' | '.join(f'{100 * by_name[name]:.1f} %' for name in names)} |")
    return "\n".join([*lines, "", f"Hearing a tick of 250 ms takes {tick_ms:.1f} ms, the median on one core.", ""])


if __name__ == "__main__":
    main()
