"""What a training clip is: samples, the words in them, and where they come from.

A `ClipRecord` is one line of a set's manifest: everything about a clip but its samples, and where those lie.
A `SpeechClip` is what the reader hands out. Times are microseconds from the clip's first sample.
"""

from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.training.data.shards import Placed

CLIP_RATE_HZ = 24_000  # the codec's rate; every clip is resampled to it once, when it is made


class Split(StrEnum):
    """What a clip may be used for. No text of EVAL ever enters training, and no voice that is held out."""

    TRAIN = "train"
    EVAL = "eval"


class Word(msgspec.Struct, frozen=True, array_like=True):
    """A spoken word. Spans are in order and do not overlap; a word swallowed by its neighbour has no duration."""

    start_us: int
    end_us: int
    text: str


class ClipRecord(Placed, frozen=True, kw_only=True):
    """One line of the manifest. `source` names the engine or corpus; `voiced` is the share of its loudest second that
    is speech.
    """

    text: str
    kind: str
    speaker: str
    source: str
    licence: str
    split: Split
    num_samples: int
    voiced: float
    words: tuple[Word, ...] = ()

    @property
    def duration_s(self) -> float:
        return self.num_samples / CLIP_RATE_HZ


@dataclass(frozen=True, slots=True)
class SpeechClip:
    """A clip with its samples: float32 mono at `CLIP_RATE_HZ` in [-1, 1]. `words` may be empty: no timings known."""

    pcm: NDArray[np.float32]
    text: str
    speaker: str
    source: str
    words: tuple[Word, ...]

    @property
    def duration_us(self) -> int:
        return len(self.pcm) * 1_000_000 // CLIP_RATE_HZ

    def __repr__(self) -> str:
        return f"SpeechClip({self.duration_us / 1e6:.2f}s {self.source}/{self.speaker} {self.text[:40]!r})"
