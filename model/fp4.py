"""Four-bit floating point weights: the reference arithmetic and the packed layout that native kernels read.

Weight [out, in] → `quantize` → `PackedFp4` → `dequantize` → weight. Everything here is plain torch and slow; the
fast twins in `model/kernels/` are tested against it. Nothing here chooses scales by data: see `model/quantize.py`.

An element is E2M1: one sign, two exponent and one mantissa bit. Elements share a scale along the input dimension:

- NVFP4: blocks of 16, E4M3 scales, one float32 for the whole tensor (NVIDIA, "Pretraining Large Language Models with
  NVFP4", arXiv:2509.25149).
- MXFP4: blocks of 32, E8M0 scales (OCP Microscaling Formats Specification v1.0, sections 5.3.3, 5.4.1 and 6.3).

The value of an element is `(e2m1 * scale) * tensor_scale` in float32. The first product is exact, so it rounds once.
"""

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor, nn
from torch.nn import functional

E2M1_MAGNITUDES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # by the low three bits of a code; bit 3 is the sign
E2M1_MAX = 6.0
E2M1_MAX_EXPONENT = 2  # 6.0 = 1.5 * 2^2
E4M3_MAX = 448.0
E4M3_NAN = 0x7F
E8M0_BIAS = 127
E8M0_NAN = 255
MIN_TENSOR_SCALE = 2.0**-126  # smallest normal float32


class Fp4Format(Enum):
    """Which scales FP4 elements share."""

    NVFP4 = "nvfp4"
    MXFP4 = "mxfp4"

    @property
    def block(self) -> int:
        """Number of neighbouring input elements under one scale."""
        return 16 if self is Fp4Format.NVFP4 else 32


@dataclass(frozen=True, slots=True, eq=False)
class PackedFp4:
    """A weight matrix [out, in] in FP4. In each byte of `codes` the low nibble is the even input index."""

    format: Fp4Format
    codes: Tensor  # uint8 [out, in / 2]
    scales: Tensor  # uint8 [out, in / block]: the raw bits of E4M3 or E8M0
    tensor_scale: Tensor  # float32 []; 1.0 for MXFP4
    shape: tuple[int, int]  # (out, in)

    def __post_init__(self) -> None:
        out, inp = self.shape
        check_divisible(inp, self.format)
        expected = {
            "codes": (self.codes, torch.uint8, (out, inp // 2)),
            "scales": (self.scales, torch.uint8, (out, inp // self.format.block)),
            "tensor_scale": (self.tensor_scale, torch.float32, ()),
        }
        for name, (tensor, dtype, shape) in expected.items():
            if tensor.dtype != dtype or tuple(tensor.shape) != shape:
                raise ValueError(
                    f"{name} of a {self.format.value} weight {self.shape} must be {dtype} {shape}, "
                    f"not {tensor.dtype} {tuple(tensor.shape)}"
                )

    @property
    def num_bytes(self) -> int:
        """Stored size: codes, scales and the tensor scale."""
        return self.codes.numel() + self.scales.numel() + 4

    def __repr__(self) -> str:
        return f"PackedFp4({self.format.value} {self.shape[0]}x{self.shape[1]})"


def check_divisible(inp: int, format: Fp4Format) -> None:
    """Raise `ValueError` unless an input dimension divides into whole blocks."""
    if inp == 0 or inp % format.block:
        raise ValueError(f"{format.value} needs an input dimension divisible by {format.block}, not {inp}")


def e2m1_values(device: torch.device | str = "cpu") -> Tensor:
    """The value of each of the 16 codes, float32 [16]. Code 8 is negative zero."""
    magnitudes = torch.tensor(E2M1_MAGNITUDES, device=device)
    return torch.cat([magnitudes, -magnitudes])


def e2m1_encode(values: Tensor) -> Tensor:
    """The nearest code of each value, ties to the even code, saturating at ±6. uint8, never negative zero."""
    midpoints = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0], dtype=values.dtype, device=values.device)
    # bucketize sends a value equal to a boundary down. Where the even code is above, move the boundary just below.
    rounds_up = torch.tensor([False, True, False, True, False, True, False], device=values.device)
    boundaries = torch.where(rounds_up, torch.nextafter(midpoints, torch.zeros_like(midpoints)), midpoints)
    codes = torch.bucketize(values.abs(), boundaries, out_int32=True).to(torch.uint8)
    negative = (values < 0) & (codes > 0)
    return codes | (negative.to(torch.uint8) << 3)


def pack_nibbles(codes: Tensor) -> Tensor:
    """Codes uint8 [out, in] below 16 → bytes [out, in / 2], the even index in the low nibble."""
    return codes[:, 0::2] | (codes[:, 1::2] << 4)


def unpack_nibbles(packed: Tensor) -> Tensor:
    """The inverse of `pack_nibbles`."""
    return torch.stack([packed & 0x0F, packed >> 4], dim=-1).flatten(-2)


def decode_scales(scales: Tensor, format: Fp4Format) -> Tensor:
    """Raw scale bits → float32, same shape. Reserved patterns become NaN."""
    if format is Fp4Format.NVFP4:
        return scales.view(torch.float8_e4m3fn).float()
    exponents = torch.arange(256, dtype=torch.float64, device=scales.device) - E8M0_BIAS
    table = torch.exp2(exponents).float()
    table[E8M0_NAN] = torch.nan
    return table[scales.int()]


def encode_e4m3(values: Tensor) -> Tensor:
    """Non-negative values → the bits of the nearest E4M3, ties to even, saturating at 448."""
    return values.float().clamp(0.0, E4M3_MAX).to(torch.float8_e4m3fn).view(torch.uint8)


def encode_scales(weight: Tensor, format: Fp4Format, tensor_scale: Tensor) -> Tensor:
    """The formats' own choice of scales from each block's largest magnitude, uint8 [out, in / block]."""
    out, inp = weight.shape
    amax = weight.abs().reshape(out, inp // format.block, format.block).amax(dim=-1)
    if format is Fp4Format.MXFP4:
        # Section 6.3: floor(log2(amax)) less the largest element exponent. frexp's mantissa lies in [0.5, 1).
        exponents = torch.frexp(amax).exponent - 1 - E2M1_MAX_EXPONENT + E8M0_BIAS
        exponents = torch.where(amax > 0, exponents, 0).clamp(0, E8M0_NAN - 1)
        return exponents.to(torch.uint8)
    return encode_e4m3(amax.double() / (E2M1_MAX * tensor_scale.double()))


def choose_tensor_scale(weight: Tensor, format: Fp4Format, headroom: float = 1.0) -> Tensor:
    """The tensor scale, float32 []. For NVFP4 the largest magnitude, times `headroom`, becomes 6 * 448; else 1."""
    amax = weight.abs().amax().float() * headroom
    if format is Fp4Format.MXFP4 or not bool(amax > 0):
        return torch.ones((), device=weight.device)
    return (amax / (E2M1_MAX * E4M3_MAX)).clamp_min(MIN_TENSOR_SCALE)


def quantize_with_scales(weight: Tensor, format: Fp4Format, scales: Tensor, tensor_scale: Tensor) -> PackedFp4:
    """Round each element to the nearest multiple of its given scale. A zero scale makes a block zero."""
    # In float64 the product of the scales is exact and the quotient too fine to move a tie.
    steps = decode_scales(scales, format).double() * tensor_scale.double()
    steps = steps.repeat_interleave(format.block, dim=1)
    quotients = torch.where(steps > 0, weight.double() / steps, 0.0)
    codes = pack_nibbles(e2m1_encode(quotients))
    return PackedFp4(format, codes, scales, tensor_scale, (weight.shape[0], weight.shape[1]))


def quantize(weight: Tensor, format: Fp4Format) -> PackedFp4:
    """Weight [out, in] → FP4 by round-to-nearest under the format's own scales. Raises `ValueError` on NaN or inf."""
    if weight.ndim != 2:
        raise ValueError(f"an FP4 weight has two dimensions, not the shape {tuple(weight.shape)}")
    check_divisible(weight.shape[1], format)
    weight = weight.detach().float()
    if not bool(torch.isfinite(weight).all()):
        raise ValueError("an FP4 weight must be finite, but this one holds NaN or infinity")
    tensor_scale = choose_tensor_scale(weight, format)
    return quantize_with_scales(weight, format, encode_scales(weight, format, tensor_scale), tensor_scale)


def dequantize(packed: PackedFp4, dtype: torch.dtype = torch.float32) -> Tensor:
    """FP4 → weight [out, in], computed in float32 and rounded once more if `dtype` is narrower."""
    values = e2m1_values(packed.codes.device)[unpack_nibbles(packed.codes).int()]
    scales = decode_scales(packed.scales, packed.format).repeat_interleave(packed.format.block, dim=1)
    return ((values * scales) * packed.tensor_scale).to(dtype)


def dequantize_rows(packed: PackedFp4, rows: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Only some output rows of `dequantize`: integer rows [...] → [..., in]. How an FP4 table embeds ids."""
    flat = rows.flatten()
    some = PackedFp4(
        packed.format, packed.codes[flat], packed.scales[flat], packed.tensor_scale, (flat.numel(), packed.shape[1])
    )
    return dequantize(some, dtype).reshape(*rows.shape, packed.shape[1])


def fake_quantize(weight: Tensor, format: Fp4Format) -> Tensor:
    """`weight` rounded to FP4 values in the forward pass; the gradient passes straight through."""
    return weight + (dequantize(quantize(weight, format), weight.dtype) - weight).detach()


class DequantizedLinear(nn.Module):
    """A linear layer whose FP4 weight was unpacked once, for machines without a native kernel."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """From [..., in] to [..., out] in the dtype of `x`, multiplied in the dtype of the weight."""
        return functional.linear(x.to(self.weight.dtype), self.weight).to(x.dtype)


class Fp4Linear(nn.Module):
    """The reference FP4 linear layer without bias: dequantizes at every call."""

    codes: Tensor
    scales: Tensor
    tensor_scale: Tensor

    def __init__(self, packed: PackedFp4) -> None:
        super().__init__()
        self.format = packed.format
        self.shape = packed.shape
        self.register_buffer("codes", packed.codes)
        self.register_buffer("scales", packed.scales)
        self.register_buffer("tensor_scale", packed.tensor_scale)

    @property
    def packed(self) -> PackedFp4:
        """The weight as stored."""
        return PackedFp4(self.format, self.codes, self.scales, self.tensor_scale, self.shape)

    def forward(self, x: Tensor) -> Tensor:
        """From [..., in] to [..., out]."""
        return functional.linear(x, dequantize(self.packed, x.dtype))

    def expand(self, dtype: torch.dtype = torch.float32) -> DequantizedLinear:
        """The same layer with its weight unpacked in `dtype`."""
        return DequantizedLinear(dequantize(self.packed, dtype))

    def extra_repr(self) -> str:
        return f"{self.format.value}, in={self.shape[1]}, out={self.shape[0]}"
