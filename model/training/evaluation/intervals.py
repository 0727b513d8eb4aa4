"""95 % confidence intervals: of shares by Wilson, of ratios of sums by resampling. The same input, the same bounds."""

import math
from collections.abc import Sequence

import numpy as np

Z_95 = 1.959964  # of the normal distribution, two sides
RESAMPLES = 2_000


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Bounds of a share (Wilson, JASA 1927). Raises ValueError for a count that is not positive."""
    if not 0 <= hits <= count or count == 0:
        raise ValueError(f"a share is of at least one try, not {hits} of {count}")
    share, z2 = hits / count, Z_95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def ratio_of(parts: Sequence[tuple[float, float]]) -> float:
    """The sum of all first numbers over that of all second ones. Raises ValueError where that is 0."""
    below = sum(part[1] for part in parts)
    if below <= 0:
        raise ValueError("nothing to divide by")
    return sum(part[0] for part in parts) / below


def none_seen(exposure: float) -> float:
    """The upper bound of a rate of which no event was seen (Poisson, exact; the lower bound is 0)."""
    return -math.log(0.025) / exposure


def bootstrap(parts: Sequence[tuple[float, float]], seed: int = 0) -> tuple[float, float]:
    """Bounds of `ratio_of`, by drawing the parts anew with replacement (Efron's percentiles)."""
    values_N2 = np.asarray(parts, np.float64).reshape(-1, 2)
    ratio_of([tuple(part) for part in values_N2.tolist()])
    drawn = np.random.default_rng(seed).integers(len(values_N2), size=(RESAMPLES, len(values_N2)))
    above_R, below_R = values_N2[drawn].sum(axis=1).T
    ratios = above_R[below_R > 0] / below_R[below_R > 0]
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(low), float(high)
