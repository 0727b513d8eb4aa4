"""Fair timing on a machine that is never quite quiet: rivals take turns, and ratios are taken turn by turn.

Nothing here knows what it times.
"""

import itertools
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from model.kernels.native import NativePool

Work = Callable[[], object]
BANDWIDTH_BYTES = 512 << 20  # many times any cache of the machines this is meant for
SETTLE_SECONDS = 0.03  # OpenMP's threads spin for milliseconds after their work, on cores that the next rival needs


def seconds_of(work: Work) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def take_turns(works: dict[str, Work], rounds: int, calls_a_round: int = 1) -> dict[str, list[float]]:
    """Seconds per call of each work, one entry per round. One round runs all of them, after a round of warming up."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_index in range(rounds + 1):
        for name, work in works.items():
            time.sleep(SETTLE_SECONDS)
            work()
            elapsed = median(seconds_of(work) for _ in range(calls_a_round))
            if round_index > 0:
                times[name].append(elapsed)
    return times


def ratio(times: dict[str, list[float]], slower: str, faster: str) -> float | None:
    """How many times longer `slower` takes: the median over rounds. None where one of the two did not run."""
    if slower not in times or faster not in times:
        return None
    return median(a / b for a, b in zip(times[slower], times[faster], strict=True))


def percentile(values: list[float], percent: float) -> float:
    """The value that `percent` of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def bandwidth_work(pool: NativePool, num_bytes: int) -> Work:
    """A work that reads the next `num_bytes` of a memory too large for caches, with all threads of the pool.

    Memory is read in pieces of the size of what it is compared with, so that disturbances hit both alike.
    """
    words: Tensor = torch.zeros(BANDWIDTH_BYTES // 8, dtype=torch.int64)
    pieces = itertools.cycle(words.split(num_bytes // 8)[: BANDWIDTH_BYTES // num_bytes])
    return lambda: pool.read(next(pieces))


def rounded(value: float | None) -> float | None:
    """For the JSON line."""
    return None if value is None else round(value, 3)
