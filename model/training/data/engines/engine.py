"""What a speech engine is to the data engine: text, voice and seed in, samples and word times out.

The same three arguments give the same samples on the same machine, whatever was spoken before.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.training.data.clip import Word


@dataclass(frozen=True, slots=True)
class Speech:
    """What an engine said, at its own rate, mono. No words where the engine gives no times."""

    pcm: NDArray[np.float32]
    rate_hz: int
    words: tuple[Word, ...] = ()


class SpeechEngine(Protocol):
    """A loaded engine. Used by one process, one call at a time."""

    def speak(self, text: str, voice: str, seed: int) -> Speech:
        """Raises ValueError for a voice it does not have."""
