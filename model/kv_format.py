"""What keys and values are rounded to in the slot cache, and the plain arithmetic of it.

`bfloat16` keeps 8 bits of each number. `int8` keeps one float32 scale for each head's vector at each position and its
elements as whole steps of it, which takes 53 % of the memory at heads of 64. The native kernel stores the same bits.

Shape legend: E head width.
"""

from enum import StrEnum
from typing import TypeAlias

import torch
from torch import Tensor

LARGEST_STEP = 127
# A vector with nothing larger than this counts as zero: kTiny of kernels/native/rows.h.
SMALLEST_MAGNITUDE = 1e-30

Place: TypeAlias = tuple[int | slice, ...]


class KvFormat(StrEnum):
    """How the slot cache stores keys and values."""

    BFLOAT16 = "bfloat16"
    INT8 = "int8"

    @property
    def dtype(self) -> torch.dtype:
        return torch.int8 if self is KvFormat.INT8 else torch.bfloat16


def quantize_kv(x: Tensor) -> tuple[Tensor, Tensor]:
    """[..., E] → int8 [..., E] and scales float32 [...]. A vector that is not finite gets a NaN scale and zeros."""
    x = x.float()
    most = x.abs().amax(-1)
    usable = (most >= SMALLEST_MAGNITUDE) & most.isfinite()
    per_unit = torch.where(usable, LARGEST_STEP / most, 0.0)
    steps = torch.where(usable.unsqueeze(-1), (x * per_unit.unsqueeze(-1)).round(), 0.0)
    unusable_scale = torch.where(most < SMALLEST_MAGNITUDE, 0.0, torch.nan)
    return steps.to(torch.int8), torch.where(usable, most / LARGEST_STEP, unusable_scale)


def put(stored: Tensor, scale: Tensor | None, at: Place, x: Tensor) -> None:
    """Round `x` [..., E] into place. `scale` is there for int8 only."""
    if scale is None:
        stored[at] = x.to(stored.dtype)
    else:
        stored[at], scale[at] = quantize_kv(x)


def get(stored: Tensor, scale: Tensor | None, at: Place, dtype: torch.dtype) -> Tensor:
    """What is stored, as numbers [..., E] of `dtype`."""
    if scale is None:
        return stored[at].to(dtype)
    return (stored[at].float() * scale[at].unsqueeze(-1)).to(dtype)
