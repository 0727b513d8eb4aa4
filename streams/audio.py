"""AudioInput: chunks of any length in, windows of exactly 6,000 samples out. Never sleeps, never reads the clock.

Two kinds of source. A WebSocket carries no times: its samples simply follow each other, so the caller stamps each
chunk with `next_pts_us`. RTP has timestamps: a chunk ahead of `next_pts_us` leaves a gap. Gaps become silence and
are counted per window; what is more than a window waits for the next. Nothing is lost silently: a chunk that would
exceed the bound is refused whole.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK, AudioChunk, Samples

DEFAULT_MAX_BUFFERED_S = 120
DEFAULT_TOLERANCE_US = 5_000  # RTP timestamps are exact to the sample; the shortest packet lasts 2.5 ms (RFC 6716)


class AudioOverflow(Exception):
    """More sound arrived than may wait. Nothing of the refused chunk was kept."""


class AudioWindow(NamedTuple):
    """float32 [6000], of which `gap_samples` are silence put in because nothing had arrived for them."""

    samples: Samples
    gap_samples: int


class AudioInput:
    """The sound of one microphone or file on its way into ticks.

    A window that is taken before it is full is completed with silence. If the missing sound then arrives after all,
    it follows, later than it should; if instead its source jumps ahead, the silence already given counts toward that
    gap, so that a lost packet is never silent twice.
    """

    def __init__(
        self, max_buffered_s: float = DEFAULT_MAX_BUFFERED_S, tolerance_us: int = DEFAULT_TOLERANCE_US
    ) -> None:
        self._max_samples = int(max_buffered_s * SAMPLE_RATE_HZ)
        if self._max_samples < SAMPLES_PER_TICK:
            raise ValueError(f"the bound must hold a window of 250 ms at least, got {max_buffered_s} s")
        self._tolerance_us = tolerance_us
        self._full: deque[AudioWindow] = deque()
        self._begin_window()
        self._last_tick = -1
        self._started = False
        self._next_pts_us = 0
        self._given_samples = 0  # silence that completed windows since the last chunk ahead of its time

    def _begin_window(self) -> None:
        self._open = np.zeros(SAMPLES_PER_TICK, np.float32)
        self._open_samples = 0
        self._open_gap_samples = 0

    @property
    def next_pts_us(self) -> int:
        """Where a chunk begins that follows the last one without a gap."""
        return self._next_pts_us

    @property
    def buffered_samples(self) -> int:
        return len(self._full) * SAMPLES_PER_TICK + self._open_samples

    @property
    def buffered_ticks(self) -> int:
        """Whole windows that wait."""
        return len(self._full)

    def push(self, chunk: AudioChunk) -> None:
        """Append a chunk, after silence where its time is ahead of the samples so far.

        Raises `AudioOverflow` where both do not fit. A chunk whose time lies behind, or ahead by more than may wait,
        comes from a source that started anew, and follows without a gap.
        """
        gap_samples = self._gap_before(chunk.pts_us)
        owed_samples = max(gap_samples - self._given_samples, 0)
        num_samples = owed_samples + len(chunk.pcm)
        if self.buffered_samples + num_samples > self._max_samples:
            raise AudioOverflow(
                f"{self.buffered_samples / SAMPLE_RATE_HZ:.1f} s of sound wait to be heard and "
                f"{num_samples / SAMPLE_RATE_HZ:.1f} s more exceed the limit of "
                f"{self._max_samples / SAMPLE_RATE_HZ:g} s"
            )
        self._given_samples -= gap_samples - owed_samples
        self._append(np.zeros(owed_samples, np.float32), is_gap=True)
        self._append(chunk.pcm, is_gap=False)
        self._next_pts_us = chunk.pts_us + chunk.duration_us
        self._started = True

    def take_window(self, tick: int) -> AudioWindow:
        """The next 6,000 samples, completed with silence. Once per tick, in order of ticks."""
        if tick <= self._last_tick:
            raise ValueError(f"tick {tick} cannot follow tick {self._last_tick}")
        self._last_tick = tick
        if not self._full:
            missing = SAMPLES_PER_TICK - self._open_samples
            self._given_samples += missing if self._started else 0
            self._close_window(missing)
        return self._full.popleft()

    def clear(self) -> None:
        """Forget all that waits; the next chunk begins anew, wherever it is."""
        self._full.clear()
        self._begin_window()
        self._started = False
        self._given_samples = 0

    def _gap_before(self, pts_us: int) -> int:
        """Samples that the source left out before a chunk at `pts_us`."""
        ahead_us = pts_us - self._next_pts_us
        if not self._started or ahead_us <= self._tolerance_us:
            return 0
        gap_samples = ahead_us * SAMPLE_RATE_HZ // 1_000_000
        return gap_samples if gap_samples - self._given_samples <= self._max_samples else 0

    def _append(self, pcm: Samples, is_gap: bool) -> None:
        """Copy samples into windows, so that tiny chunks take no more memory than long ones."""
        start = 0
        while start < len(pcm):
            count = min(len(pcm) - start, SAMPLES_PER_TICK - self._open_samples)
            self._open[self._open_samples : self._open_samples + count] = pcm[start : start + count]
            self._open_samples += count
            self._open_gap_samples += count if is_gap else 0
            start += count
            if self._open_samples == SAMPLES_PER_TICK:
                self._close_window(missing=0)

    def _close_window(self, missing: int) -> None:
        self._full.append(AudioWindow(self._open, self._open_gap_samples + missing))
        self._begin_window()
