"""DelayKeeper: sound on its way into a queue → the same sound, shortened where the queue holds more than it needs.

A queue between two clocks grows whenever its reader had to wait for a late packet, or when the writer's clock runs
fast, and nothing in it shrinks again. What was there even at the queue's emptiest moment is delay for nothing: it is
taken back, silence first and whole, then speech by a few percent, which is not heard. Lengthening needs nobody: an
empty queue gives silence. Never sleeps, never reads the clock; time is counted in samples.
"""

import numpy as np

from streams.types import SAMPLE_RATE_HZ, Samples

DEFAULT_MARGIN_MS = 40  # what may stay in the queue at its emptiest moment
DEFAULT_WINDOW_S = 20.0  # how far back the emptiest moment is looked for; rarer late packets are not prepared for
FIRST_WINDOW_S = 2.0  # doubled until it is that long: a call's beginning has stalls of its own, soon to be made up for
MAX_SQUEEZE = 0.04  # of a chunk of speech; a tempo 5 % faster goes unnoticed
QUIET_RMS = 0.003  # -50 dBFS: background noise of a microphone


class DelayKeeper:
    """For one queue. `push` is told what waits in it before the chunk is added."""

    def __init__(self, margin_ms: int = DEFAULT_MARGIN_MS, window_s: float = DEFAULT_WINDOW_S) -> None:
        if margin_ms < 0 or window_s <= 0:
            raise ValueError(f"the margin must not be negative, the window positive: {margin_ms} ms, {window_s} s")
        self._margin_samples = margin_ms * SAMPLE_RATE_HZ // 1000
        self._longest_half_samples = int(window_s * SAMPLE_RATE_HZ / 2)
        self.removed_samples = 0
        self.restart()

    def restart(self) -> None:
        """Forget what was seen: the queue was emptied, or its writer is another one."""
        self._older_min: int | None = None  # over the half of the window before the current one
        self._min: int | None = None
        self._seen_samples = 0
        self._half_samples = min(int(FIRST_WINDOW_S * SAMPLE_RATE_HZ / 2), self._longest_half_samples)

    def push(self, pcm: Samples, waiting_samples: int) -> Samples:
        """The chunk as it should go into the queue; shorter or empty where too much waits in it for too long."""
        self._see(waiting_samples, len(pcm))
        num_surplus = self._surplus_samples()
        if num_surplus <= 0 or not len(pcm):
            return pcm
        if float(np.sqrt(np.mean(np.square(pcm)))) < QUIET_RMS:
            num_removed = min(num_surplus, len(pcm))
            kept = pcm[num_removed:]
        else:
            num_removed = min(num_surplus, int(len(pcm) * MAX_SQUEEZE))
            kept = squeezed(pcm, len(pcm) - num_removed)
        self._note_removed(num_removed)
        return kept

    def _see(self, waiting_samples: int, num_samples: int) -> None:
        self._min = waiting_samples if self._min is None else min(self._min, waiting_samples)
        self._seen_samples += num_samples
        if self._seen_samples >= self._half_samples:
            self._older_min, self._min = self._min, None
            self._seen_samples = 0
            self._half_samples = min(2 * self._half_samples, self._longest_half_samples)

    def _surplus_samples(self) -> int:
        """What the queue has not needed in the whole window. Nothing is known before half of it has passed."""
        if self._older_min is None:
            return 0
        lowest = self._older_min if self._min is None else min(self._older_min, self._min)
        return lowest - self._margin_samples

    def _note_removed(self, num_samples: int) -> None:
        """The queue will be that much emptier from now on, so what was seen before counts less, too."""
        self.removed_samples += num_samples
        if self._older_min is not None:
            self._older_min -= num_samples
        if self._min is not None:
            self._min -= num_samples


def squeezed(pcm: Samples, num_samples: int) -> Samples:
    """The same sound in fewer samples, a little faster and higher: linear interpolation between neighbours."""
    positions = np.linspace(0, len(pcm) - 1, num_samples)
    return np.interp(positions, np.arange(len(pcm)), pcm).astype(np.float32)
