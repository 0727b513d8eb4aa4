"""Drawing one token from logits, with randomness that is a pure function of where it is used.

There is no generator state: the number drawn at (seed, tick, step, head) is the same whenever and wherever it is
drawn, so replaying a session, alone or among others, or forking it in the middle, draws the same tokens.
"""

import math
from collections.abc import Collection
from enum import IntEnum

import torch
from torch import Tensor

from streams.types import Sampling

_MASK = (1 << 64) - 1


class Head(IntEnum):
    """Who is drawing. Audio digits count up from AUDIO."""

    TEXT_IMAGE = 0
    AUDIO = 16


def _mix(value: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every input bit flips half of the output bits."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def uniform(seed: int, tick: int, step: int, head: int) -> float:
    """A number in [0, 1), 53 bits, from its coordinates alone."""
    state = 0
    for coordinate in (seed, tick, step, head):
        state = _mix(state ^ (coordinate & _MASK))
    return (state >> 11) * 2.0**-53


def draw(logits_V: Tensor, sampling: Sampling, at: float) -> int:
    """The token at cumulative probability `at` in [0, 1) of the tempered and truncated distribution.

    Tokens are taken in order of falling logit, equal ones by id. Raises ValueError where no logit is finite.
    """
    keep = 1 if sampling.temperature == 0.0 else min(sampling.top_k or len(logits_V), len(logits_V))
    top, ids = torch.sort(logits_V, descending=True, stable=True) if keep == len(logits_V) else _top(logits_V, keep)
    if not math.isfinite(top[0]):  # NaN counts as the largest of all
        raise ValueError("no token can be drawn: the logits hold NaN, or nothing finite")
    if sampling.temperature == 0.0:
        return int(ids[0])
    probability = torch.softmax(top.double() / sampling.temperature, dim=0)
    cumulative = probability.cumsum(0)
    nucleus = int((cumulative < sampling.top_p).sum()) + 1  # the smallest set that reaches top_p
    cumulative = cumulative[:nucleus]
    return int(ids[min(int(torch.searchsorted(cumulative, at * cumulative[-1], right=True)), len(cumulative) - 1)])


def penalize_(logits_V: Tensor, drawn_before: Collection[int], penalty: float) -> None:
    """Make the ids of `drawn_before` less likely, in place: positive logits are divided by it, others multiplied."""
    if penalty == 1.0 or not drawn_before:
        return
    ids = torch.tensor(sorted(drawn_before), device=logits_V.device)
    before = logits_V[ids]
    logits_V[ids] = torch.where(before > 0, before / penalty, before * penalty)


def _top(logits_V: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """The `keep` largest logits, sorted, equal ones by id. Of several at the edge, which are kept is torch's choice."""
    values, ids = torch.topk(logits_V, keep)
    ids, by_id = ids.sort()
    values, by_value = values[by_id].sort(descending=True, stable=True)
    return values, ids[by_value]
