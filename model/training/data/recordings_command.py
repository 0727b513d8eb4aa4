"""The recordings command: human speech with transcripts, half of it for evaluation only."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model.training.data.clip import ClipRecord, Split
from model.training.data.recordings import asterisk_recordings, clips_of
from model.training.data.shards import commit_part, write_part
from model.training.data.sound_files import flac_of
from model.training.data.speech_maker import CLIPS_PER_SHARD
from model.training.data.voice_activity import VoiceActivity


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)


def run(arguments: Namespace) -> None:
    """Convert the installed recordings; takes a minute and starts over each time."""
    recordings = asterisk_recordings()
    write_clips(arguments.out, tqdm(clips_of(recordings, VoiceActivity()), total=len(recordings), unit="clip"))


def write_clips(directory: Path, clips: Iterable[tuple[ClipRecord, NDArray[np.float32]]]) -> None:
    """All clips in shards of their splits. The same clips give the same files."""
    directory.mkdir(parents=True, exist_ok=True)
    items: dict[Split, list[tuple[ClipRecord, str, bytes]]] = {split: [] for split in Split}
    for record, pcm in clips:
        items[record.split].append((record, ".flac", flac_of(pcm)))
    for split, made in items.items():
        for number, first in enumerate(range(0, len(made), CLIPS_PER_SHARD)):
            shard = f"{split}-{number:05d}"
            commit_part(directory, shard, write_part(directory, shard, made[first : first + CLIPS_PER_SHARD]))
