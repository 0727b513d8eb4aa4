"""Loudness: every clip is brought to one level when it is made; changes of level belong to augmentation."""

import numpy as np
from numpy.typing import NDArray

LEVEL_DB = -23.0  # mean level of the loud parts, as EBU R128 sets for broadcast
_PEAK = 0.95
_WINDOW_SAMPLES = 480  # 20 ms
_LOUD_DB = -30.0  # windows this far below the loudest are pauses and do not count


def level_db(pcm: NDArray[np.float32]) -> float:
    """Mean level over the windows that are not pauses, in dB of full scale; -inf for silence."""
    windows = pcm[: len(pcm) // _WINDOW_SAMPLES * _WINDOW_SAMPLES].reshape(-1, _WINDOW_SAMPLES)
    power = np.square(windows, dtype=np.float64).mean(axis=1)
    loud = power[power > power.max(initial=0.0) * 10 ** (_LOUD_DB / 10)]
    return float(10 * np.log10(loud.mean())) if len(loud) else float("-inf")


def loudest(pcm: NDArray[np.float32], num_samples: int) -> NDArray[np.float32]:
    """The stretch of this length that holds the most energy; all of a shorter clip."""
    if len(pcm) <= num_samples:
        return pcm
    energy = np.concatenate([[0.0], np.cumsum(np.square(pcm, dtype=np.float64))])
    start = int(np.argmax(energy[num_samples:] - energy[:-num_samples]))
    return pcm[start : start + num_samples]


def levelled(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """The clip at `LEVEL_DB`, or softer where its peak would be too high. Silence stays silence."""
    now_db = level_db(pcm)
    if not np.isfinite(now_db):
        return pcm
    peak = float(np.abs(pcm).max())
    return pcm * np.float32(min(10 ** ((LEVEL_DB - now_db) / 20), _PEAK / peak))
