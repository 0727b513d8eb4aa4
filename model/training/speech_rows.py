"""Rows of speech of one length: clips packed one after the other, with pauses, as a session hears them.

A row is a function of a purpose and numbers (`random_for`), so it is the same whenever it is asked for. Clips start at
any moment of a tick and at a random level. Decoded clips are kept in memory up to a limit, because clips come again.

Shapes: T samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.training.data.clip import ClipRecord, SpeechClip, Split
from model.training.data.speech_set import SpeechSet
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK

PAUSE_S = (0.02, 0.4)
GAIN_DB = (-9.0, 1.0)
CANDIDATES = 12  # clips looked at for a place: the longest that fits fills the row best
LEAST_ROOM_S = 0.8  # a row with less left is full


class ClipSet(Protocol):
    """What is needed of a `SpeechSet`."""

    records: Sequence[ClipRecord]

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> SpeechClip: ...


@dataclass(frozen=True, slots=True)
class SpeechRow:
    """Samples [T] in [-1, 1], and the texts of the clips in it, all of them whole."""

    pcm: NDArray[np.float32]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowsConfig:
    """`agent_share` of the clips are the agent's own voice where there is one; the rest are anybody's."""

    speech: tuple[str, ...] = ()  # sets under DATA/speech; all that are there by default
    agent: str = "joe"  # the speaker whose voice the model speaks with
    agent_share: float = 0.65
    row_frames: int = 30  # 7.5 s
    cached_hours: float = 4.0  # of decoded clips: 170 MB an hour

    def __post_init__(self) -> None:
        if not 0.0 <= self.agent_share <= 1.0 or self.row_frames < 1 or self.cached_hours < 0:
            raise ValueError(f"a share lies in [0, 1] and sizes are positive: {self}")


@dataclass
class SpeechRows:
    """Rows from a set of clips."""

    clips: ClipSet
    config: RowsConfig
    _agent: NDArray[np.int64] = field(init=False)
    _others: NDArray[np.int64] = field(init=False)
    _cache: dict[int, NDArray[np.int16]] = field(init=False, default_factory=dict)
    _cached_samples: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        longest = (self.config.row_frames - 1) * SAMPLES_PER_TICK
        fitting = [number for number, record in enumerate(self.clips.records) if record.num_samples <= longest]
        if not fitting:
            raise ValueError(f"none of {len(self.clips)} clips fits a row of {self.config.row_frames} frames")
        is_agent = [self.clips.records[number].speaker == self.config.agent for number in fitting]
        numbers = np.asarray(fitting, np.int64)
        self._agent, self._others = numbers[np.asarray(is_agent)], numbers[~np.asarray(is_agent)]

    def row(self, random: np.random.Generator) -> SpeechRow:
        """Clips, each whole, until the row is full."""
        pcm = np.zeros(self.config.row_frames * SAMPLES_PER_TICK, np.float32)
        place = int(random.integers(SAMPLES_PER_TICK))
        texts: list[str] = []
        while len(pcm) - place >= LEAST_ROOM_S * SAMPLE_RATE_HZ or not texts:
            number = self._fitting(len(pcm) - place, not texts, random)
            if number is None:
                break
            sound = self._samples(number) * (10 ** (random.uniform(*GAIN_DB) / 20) / 32_767)
            pcm[place : place + len(sound)] = sound
            texts.append(self.clips.records[number].text)
            place += len(sound) + int(random.uniform(*PAUSE_S) * SAMPLE_RATE_HZ)
        return SpeechRow(np.clip(pcm, -1.0, 1.0), tuple(texts))

    def _fitting(self, room: int, first: bool, random: np.random.Generator) -> int | None:
        """Any clip for the first place, the longest of some that fit for the others."""
        chosen: list[int] = []
        while not chosen:
            candidates = [self._any(random) for _ in range(CANDIDATES)]
            chosen = [number for number in candidates if self.clips.records[number].num_samples <= room]
            if not first and not chosen:
                return None
        return chosen[0] if first else max(chosen, key=lambda number: self.clips.records[number].num_samples)

    def _any(self, random: np.random.Generator) -> int:
        agent = random.random() < self.config.agent_share
        group = self._agent if (agent and len(self._agent)) or not len(self._others) else self._others
        return int(group[random.integers(len(group))])

    def _samples(self, number: int) -> NDArray[np.int16]:
        if number not in self._cache:
            samples = np.rint(self.clips[number].pcm * 32_767).astype(np.int16)
            if self._cached_samples + len(samples) > self.config.cached_hours * 3_600 * SAMPLE_RATE_HZ:
                return samples
            self._cache[number] = samples
            self._cached_samples += len(samples)
        return self._cache[number]


def speech_sets(data: Path, names: Sequence[str]) -> list[Path]:
    """The named sets under DATA/speech, or all. Raises FileNotFoundError where there is none."""
    folder = data / "speech"
    sets = [folder / name for name in names] or sorted(path for path in folder.glob("*") if path.is_dir())
    if not sets:
        raise FileNotFoundError(f"no speech in {folder}; build it with model.training.data.build")
    return sets


def open_speech(data: Path, names: Sequence[str]) -> tuple[SpeechSet, SpeechSet]:
    """Clips to train on and clips that are held out."""
    sets = speech_sets(data, names)
    return SpeechSet(*sets, split=Split.TRAIN), SpeechSet(*sets, split=Split.EVAL)
