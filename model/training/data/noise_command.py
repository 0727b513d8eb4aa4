"""The noise command: noises of all kinds in shards as speech has them, to listen to or to test with.

Augmentation needs no stored noise: it makes its own from the same functions.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from tqdm import tqdm

from model.training.data.clip import CLIP_RATE_HZ, ClipRecord, Split
from model.training.data.noise import NoiseKind, noise
from model.training.data.seeding import random_for
from model.training.data.shards import commit_part, write_part
from model.training.data.sound_files import flac_of

CLIPS_PER_SHARD = 64
SOURCE = "noise"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--clips", type=int, default=192)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each clip")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)


def run(arguments: Namespace) -> None:
    """Make what is not made yet at `--out`."""
    build_noise(arguments.out, arguments.clips, round(arguments.seconds * CLIP_RATE_HZ), arguments.seed)


def build_noise(directory: Path, num_clips: int, num_samples: int, seed: int, progress: bool = True) -> None:
    """Kinds in turn. The kind stands where speech has its speaker; there is no text."""
    directory.mkdir(parents=True, exist_ok=True)
    for first in tqdm(range(0, num_clips, CLIPS_PER_SHARD), unit="shard", desc="noise", disable=not progress):
        shard = f"{Split.TRAIN}-{first // CLIPS_PER_SHARD:05d}"
        if (directory / f"{shard}.jsonl").exists():
            continue
        items = []
        for number in range(first, min(first + CLIPS_PER_SHARD, num_clips)):
            kind = list(NoiseKind)[number % len(NoiseKind)]
            pcm = noise(kind, num_samples, random_for(SOURCE, seed, number))
            record = ClipRecord(
                key=f"{SOURCE}-{number:06d}",
                text="",
                kind=SOURCE,
                speaker=kind,
                source=SOURCE,
                licence="CC0-1.0",
                split=Split.TRAIN,
                num_samples=num_samples,
                voiced=0.0,
            )
            items.append((record, ".flac", flac_of(pcm)))
        commit_part(directory, shard, write_part(directory, shard, items))
