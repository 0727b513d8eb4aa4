"""How long a call takes, for the evaluations. Speed against rivals is measured in `benchmarks/`."""

import time
from collections.abc import Callable
from statistics import median


def median_ms(work: Callable[[], object], repeats: int = 30) -> float:
    """Median processor time of a call on this thread: a busy machine does not make it longer."""
    times = []
    for _ in range(repeats):
        begun = time.thread_time()
        work()
        times.append(1_000 * (time.thread_time() - begun))
    return median(times)
