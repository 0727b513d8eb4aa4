"""FP4 linear layers on GPUs in Triton: y [N, out] = x [N, in] · Wᵀ, straight from the packed layout of `model/fp4.py`.

One kernel, two tilings: `Pass.DECODE` for few rows, bound by reading weights; `Pass.PREFILL` for many, bound by
arithmetic. Codes and scales become bfloat16 in registers, exactly (two significant bits times four), and meet bfloat16
activations on the matrix units with float32 sums.

A row's sum runs over K in an order that its matrix and pass decide, never the number of rows: tiles have fixed sizes,
the split of K is fixed by the shape, and nothing is added atomically. The two passes need not agree in the last bits.

Shape legend: N rows, out and in of the weight, S parts that K is split into.
"""

from dataclasses import dataclass
from enum import Enum

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from model.fp4 import E4M3_NAN, E8M0_NAN, Fp4Format, PackedFp4

MIN_INPUT = 64  # the input width divides by the narrowest tile
MAX_PROGRAMS = 1024  # K is split no further once so many programs share a matrix: about 8 for each of an H100's 132 SMs
MIN_SPLIT_INPUTS = 1024
_NAN_SCALE = {Fp4Format.NVFP4: E4M3_NAN, Fp4Format.MXFP4: E8M0_NAN}


@dataclass(frozen=True, slots=True)
class Tile:
    """What one program computes: `rows` by `outs` results, reading `ins` inputs at a time."""

    rows: int
    outs: int
    ins: int
    num_warps: int
    num_stages: int


class Pass(Enum):
    """What rows a call brings, which chooses its tiling. Chosen by the caller and never by the number of rows."""

    DECODE = "decode"  # a step of several sessions
    PREFILL = "prefill"  # the inputs of a tick

    @property
    def tile(self) -> Tile:
        if self is Pass.DECODE:
            return Tile(rows=16, outs=32, ins=128, num_warps=2, num_stages=4)
        return Tile(rows=64, outs=128, ins=64, num_warps=4, num_stages=3)


@triton.jit
def fp4_matmul(
    x, codes, scales, out_scale, residual, y, num_rows, num_outs, num_ins,
    ROWS: tl.constexpr, OUTS: tl.constexpr, INS: tl.constexpr, BLOCK: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """One tile of y, or with SPLITS above 1 one part [S, N, out] of its sums, neither scaled nor added to."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)  # fastest: row tiles of one weight tile share it in the cache
    outs = tl.program_id(1) * OUTS + tl.arange(0, OUTS)
    part = tl.program_id(2)
    weight_rows = tl.minimum(outs, num_outs - 1).to(tl.int64)[None, :]
    ins, bytes_, blocks = tl.arange(0, INS), tl.arange(0, INS // 2), tl.arange(0, INS // BLOCK)
    is_row, is_out = (rows < num_rows)[:, None], (outs < num_outs)[None, :]
    x_at = x + rows[:, None] * num_ins + ins[None, :]
    codes_at = codes + weight_rows * (num_ins // 2) + bytes_[:, None]
    scales_at = scales + tl.trans(weight_rows) * (num_ins // BLOCK) + blocks[None, :]
    part_ins = num_ins // SPLITS
    sums = tl.zeros((ROWS, OUTS), tl.float32)
    first = tl.multiple_of(part * part_ins, INS)  # without this hint, loads of a part are two bytes wide
    for step in range(0, part_ins, INS):
        start = first + step
        a = tl.load(x_at + start, mask=is_row, other=0.0)
        w = tl.load(codes_at + start // 2)
        s = tl.load(scales_at + start // BLOCK)
        sums = tl.dot_scaled(a, None, "bf16", w, s, "e2m1", acc=sums)
    at = rows[:, None] * num_outs + outs[None, :]
    if SPLITS == 1:
        sums *= tl.load(out_scale + outs, mask=outs < num_outs, other=0.0)[None, :]
        if residual is not None:
            sums += tl.load(residual + at, mask=is_row & is_out, other=0.0)
        tl.store(y + at, sums, mask=is_row & is_out)
    else:
        tl.store(y + part.to(tl.int64) * num_rows * num_outs + at, sums, mask=is_row & is_out)


@triton.jit
def sum_splits(parts, out_scale, residual, y, num_outs, total, SPLITS: tl.constexpr, COUNT: tl.constexpr):
    """Add the parts [S, N, out], first to last; scale; add the residual."""
    at = tl.program_id(0).to(tl.int64) * COUNT + tl.arange(0, COUNT)
    inside = at < total
    sums = tl.zeros((COUNT,), tl.float32)
    for part in tl.static_range(SPLITS):
        sums += tl.load(parts + part * total + at, mask=inside, other=0.0)
    sums *= tl.load(out_scale + at % num_outs, mask=inside, other=0.0)
    if residual is not None:
        sums += tl.load(residual + at, mask=inside, other=0.0)
    tl.store(y + at, sums, mask=inside)


class TritonLinear(nn.Module):
    """One or more FP4 matrices of the same input and format, stacked along their outputs, on the device of `codes`."""

    codes: Tensor
    scales: Tensor
    out_scale: Tensor

    def __init__(self, *matrices: PackedFp4) -> None:
        super().__init__()
        first = matrices[0]
        if len({(packed.format, packed.shape[1]) for packed in matrices}) > 1:
            raise ValueError(f"only matrices of one format and input can be stacked, not {list(matrices)}")
        if first.shape[1] % MIN_INPUT:
            raise ValueError(f"the Triton kernel needs an input divisible by {MIN_INPUT}, not {first.shape[1]}")
        scales = torch.cat([packed.scales for packed in matrices])
        if bool((scales == _NAN_SCALE[first.format]).any()):
            raise ValueError(f"{first} holds a scale that is not a number")
        self.format = first.format
        self.shape = (sum(packed.shape[0] for packed in matrices), first.shape[1])
        out_scale = torch.cat([packed.tensor_scale.expand(packed.shape[0]) for packed in matrices])
        if self.format is Fp4Format.NVFP4:
            scales = scales.view(torch.float8_e4m3fn)  # Triton takes plain bytes for E8M0
        self.register_buffer("codes", torch.cat([packed.codes for packed in matrices]).contiguous())
        self.register_buffer("scales", scales.contiguous())
        self.register_buffer("out_scale", out_scale.contiguous())

    def num_splits(self, tile: Tile) -> int:
        """Parts that K is cut into, so that narrow matrices still occupy the whole GPU."""
        out, inp = self.shape
        splits = 1
        while (
            triton.cdiv(out, tile.outs) * splits * 2 <= MAX_PROGRAMS
            and inp % (splits * 2 * tile.ins) == 0
            and inp // (splits * 2) >= MIN_SPLIT_INPUTS
        ):
            splits *= 2
        return splits

    def tile(self, kind: Pass) -> Tile:
        """The pass's tile, with fewer inputs at a time where they would not divide."""
        tile = kind.tile
        ins = tile.ins
        while self.shape[1] % ins:
            ins //= 2
        return Tile(tile.rows, tile.outs, ins, tile.num_warps, tile.num_stages)

    def multiply(self, x_ND: Tensor, kind: Pass, residual: Tensor | None = None) -> Tensor:
        """bfloat16 [N, in] → float32 [N, out], added to `residual` float32 [N, out] where there is one."""
        out, inp = self.shape
        if x_ND.dtype != torch.bfloat16 or x_ND.ndim != 2 or x_ND.shape[1] != inp or not x_ND.is_contiguous():
            raise ValueError(f"this layer takes contiguous bfloat16 [N, {inp}], not {x_ND.dtype} {list(x_ND.shape)}")
        num_rows = x_ND.shape[0]
        y = torch.empty(num_rows, out, dtype=torch.float32, device=x_ND.device)
        if num_rows == 0:
            return y
        tile = self.tile(kind)
        splits = self.num_splits(tile) if kind is Pass.DECODE else 1
        sums = y if splits == 1 else torch.empty(splits, num_rows, out, dtype=torch.float32, device=x_ND.device)
        grid = (triton.cdiv(num_rows, tile.rows), triton.cdiv(out, tile.outs), splits)
        fp4_matmul[grid](
            x_ND, self.codes, self.scales, self.out_scale, residual, sums, num_rows, out, inp,
            ROWS=tile.rows, OUTS=tile.outs, INS=tile.ins, BLOCK=self.format.block, SPLITS=splits,
            num_warps=tile.num_warps, num_stages=tile.num_stages,
        )  # fmt: skip
        if splits > 1:
            count = 1024
            sum_splits[(triton.cdiv(y.numel(), count),)](
                sums, self.out_scale, residual, y, out, y.numel(), SPLITS=splits, COUNT=count
            )
        return y

    def forward(self, x: Tensor, kind: Pass = Pass.DECODE) -> Tensor:
        """From [..., in] to [..., out] in the dtype of `x`, which is rounded to bfloat16 first."""
        flat = x.reshape(-1, self.shape[1]).to(torch.bfloat16).contiguous()
        return self.multiply(flat, kind).to(x.dtype).reshape(*x.shape[:-1], self.shape[0])

    def extra_repr(self) -> str:
        return f"{self.format.value}, in={self.shape[1]}, out={self.shape[0]}"
