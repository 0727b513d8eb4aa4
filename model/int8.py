"""Eight-bit weights: how a checkpoint stores tokenizers and encoders. They are unpacked when loaded, not computed on.

Each output row of a weight [out, ...] has whole steps of one float32 scale, at most 127 either way.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

MAX_STEPS = 127


@dataclass(frozen=True, slots=True, eq=False)
class PackedInt8:
    codes: Tensor  # int8 [out, ...], the shape of the weight
    scales: Tensor  # float32 [out]

    def __post_init__(self) -> None:
        if self.codes.dtype != torch.int8 or self.codes.ndim < 2:
            raise ValueError(f"codes are int8 [out, ...], not {self.codes.dtype} {tuple(self.codes.shape)}")
        if self.scales.dtype != torch.float32 or self.scales.shape != self.codes.shape[:1]:
            raise ValueError(
                f"{len(self.codes)} rows have as many float32 scales, "
                f"not {self.scales.dtype} {tuple(self.scales.shape)}"
            )

    @property
    def shape(self) -> torch.Size:
        return self.codes.shape

    @property
    def num_bytes(self) -> int:
        """Stored size: codes and scales."""
        return self.codes.numel() + 4 * self.scales.numel()


def pack(weight: Tensor) -> PackedInt8:
    """Round to nearest; the largest weight of a row is exact up to rounding of its scale. Raises ValueError for NaN."""
    rows_OX = weight.detach().float().flatten(1)
    if not torch.isfinite(rows_OX).all():
        raise ValueError("a weight that is not finite cannot be packed")
    scales_O = rows_OX.abs().amax(dim=1) / MAX_STEPS
    steps_OX = rows_OX / scales_O.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    return PackedInt8(steps_OX.round().to(torch.int8).view(weight.shape), scales_O)


def unpack(packed: PackedInt8) -> Tensor:
    """The weight in float32."""
    return (packed.codes.float().flatten(1) * packed.scales[:, None]).view(packed.shape)
