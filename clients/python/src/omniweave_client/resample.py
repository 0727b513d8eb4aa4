"""Resampler: mono blocks at any whole rate → the same sound at 24 kHz, block by block.

A polyphase windowed sinc (Kaiser): flat within 0.02 dB up to 90 % of the narrower band, aliases and images at least
80 dB down from its edge on. Splitting the input differently changes nothing. Holds one filter length of past input.
"""

import math

import numpy as np

from omniweave_client.pcm import SAMPLE_RATE_HZ, Samples

ZERO_CROSSINGS = 48  # of the sinc, on each side: sets the width of the transition band
ROLLOFF = 0.945  # centre of the transition band, as a part of the narrower band
KAISER_BETA = 7.857  # 80 dB by Kaiser's formula, 0.1102 (A - 8.7)


class Resampler:
    def __init__(self, rate_in_hz: int, rate_out_hz: int = SAMPLE_RATE_HZ) -> None:
        if rate_in_hz <= 0 or rate_out_hz <= 0:
            raise ValueError(f"sample rates must be positive, got {rate_in_hz} and {rate_out_hz}")
        common = math.gcd(rate_in_hz, rate_out_hz)
        self._up, self._down = rate_out_hz // common, rate_in_hz // common
        self._half, self._filter_PT = _polyphase(self._up, self._down)  # P phases, T taps
        self._tail = np.zeros(self._half - 1, np.float32)  # input that later outputs still need
        self._tail_start = -(self._half - 1)  # index of its first sample in the whole input
        self._next_out = 0

    def push(self, pcm: Samples) -> Samples:
        """Append input; returns the output samples whose filter it completes."""
        if self._up == self._down:
            return pcm
        self._tail = np.concatenate([self._tail, pcm.astype(np.float32, copy=False)])
        num_known = self._tail_start + len(self._tail)
        # Output n lies at input position n * down / up and reads `half` samples on each side of it.
        end_out = -((-(num_known - self._half) * self._up) // self._down)
        return self._emit(max(end_out, self._next_out))

    def flush(self) -> Samples:
        """The rest of the sound, as if silence followed. The resampler is spent after this."""
        if self._up == self._down:
            return np.zeros(0, np.float32)
        num_in = self._tail_start + len(self._tail)
        self._tail = np.concatenate([self._tail, np.zeros(self._half + 1, np.float32)])
        return self._emit(-((-num_in * self._up) // self._down))

    def _emit(self, end_out: int) -> Samples:
        outputs = np.arange(self._next_out, end_out, dtype=np.int64)
        self._next_out = end_out
        first = outputs * self._down // self._up - self._half + 1 - self._tail_start
        phases = outputs * self._down % self._up
        out = np.zeros(0, np.float32)
        if len(outputs):
            windows_NT = np.lib.stride_tricks.sliding_window_view(self._tail, 2 * self._half)
            out = np.einsum("nt,nt->n", windows_NT[first], self._filter_PT[phases]).astype(np.float32)
        spent = max(0, end_out * self._down // self._up - self._half + 1 - self._tail_start)
        self._tail = self._tail[spent:].copy()
        self._tail_start += spent
        return out


def _polyphase(up: int, down: int) -> tuple[int, Samples]:
    """(taps on each side, filter [up, taps]): one row for each position an output can have between two inputs."""
    cutoff = min(1.0, up / down) * ROLLOFF  # of the input's band
    half = math.ceil(ZERO_CROSSINGS / cutoff)
    distance_PT = np.arange(1 - half, half + 1)[None, :] - np.arange(up)[:, None] / up
    window_PT = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (distance_PT / half) ** 2, 0, None)))
    filter_PT = np.sinc(cutoff * distance_PT) * window_PT
    filter_PT /= filter_PT.sum(axis=1, keepdims=True)  # a constant stays exactly that constant
    return half, filter_PT.astype(np.float32)
