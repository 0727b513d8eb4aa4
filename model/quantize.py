"""Calibrated FP4: choose scales and codes that keep a layer's outputs, not its weights.

Pure functions from a weight [out, in] and a Hessian [in, in] to `PackedFp4`. The Hessian is the second moment of the
layer's inputs, X.T @ X over calibration tokens: the squared change of the outputs for a change D of the weight is
trace(D @ H @ D.T) (`output_error`). Nothing here runs a model or reads data.

`search_scales` improves plain rounding with the Hessian's diagonal. `compensate` is GPTQ (arXiv:2210.17323) for blocks
that share a scale: columns are rounded in turn, and the columns still to come make up for each rounding error.
"""

import torch
from torch import Tensor

from model.fp4 import (
    Fp4Format,
    PackedFp4,
    check_divisible,
    choose_tensor_scale,
    decode_scales,
    dequantize,
    e2m1_encode,
    e2m1_values,
    encode_scales,
    pack_nibbles,
    quantize_with_scales,
)

# Scale codes tried around the one that maps a block's largest magnitude to 6. Neighbouring E4M3 values lie 6 to 12 %
# apart, so this spans about 0.6 to 1.6 times that scale: from clipping the largest to mapping it to 4.
NVFP4_CANDIDATES = range(-6, 6)
MXFP4_CANDIDATES = range(-1, 2)
# Head room for scales above amax / 6 in the block that holds the tensor's largest magnitude.
TENSOR_SCALE_HEADROOM = 2.0
MAX_NVFP4_SCALE_CODE = 0x7E  # 448; the next code is NaN
MAX_MXFP4_SCALE_CODE = 0xFE  # 2^127; the next code is NaN


def input_moment(inputs: Tensor) -> Tensor:
    """Inputs [..., in] of a layer → their share of its Hessian, float32 [in, in]. Shares add up over batches."""
    flat = inputs.reshape(-1, inputs.shape[-1]).float()
    return flat.T @ flat


def output_error(weight: Tensor, packed: PackedFp4, hessian: Tensor) -> float:
    """Squared change of the outputs caused by quantizing, relative to the squared outputs."""
    difference = (dequantize(packed) - weight).double()
    hessian, weight = hessian.double(), weight.double()
    return float(((difference @ hessian) * difference).sum() / ((weight @ hessian) * weight).sum())


def search_scales(weight: Tensor, hessian_diagonal: Tensor, format: Fp4Format) -> PackedFp4:
    """Round to nearest under the block scales with the least squared error, each input column weighted."""
    check_divisible(weight.shape[1], format)
    tensor_scale = choose_tensor_scale(weight, format, TENSOR_SCALE_HEADROOM)
    candidates_SOK = scale_candidates(weight, format, tensor_scale)
    importance = hessian_diagonal.reshape(1, -1, format.block).float()
    blocks = weight.reshape(weight.shape[0], -1, format.block).float()
    best_error = torch.full(blocks.shape[:2], torch.inf, device=weight.device)
    best_scale = candidates_SOK[0]
    for scales in candidates_SOK:
        rounded = dequantize(quantize_with_scales(weight, format, scales, tensor_scale)).reshape(blocks.shape)
        error = ((rounded - blocks).square() * importance).sum(dim=-1)
        best_scale = torch.where(error < best_error, scales, best_scale)
        best_error = torch.minimum(error, best_error)
    return quantize_with_scales(weight, format, best_scale, tensor_scale)


def compensate(
    weight: Tensor, hessian: Tensor, format: Fp4Format, *, damping: float = 0.01, order_by_activity: bool = True
) -> PackedFp4:
    """Round column by column, spreading each error over the columns still to come (GPTQ).

    The scale of a block is chosen when its turn comes, by rounding the block under every candidate and keeping, for
    each row, the one with the least output error. `order_by_activity` takes blocks with the most active inputs first.
    `damping` is added to the Hessian's diagonal, relative to its mean.
    """
    out, inp = weight.shape
    block = format.block
    check_divisible(inp, format)
    order = column_order(hessian.diagonal(), block) if order_by_activity else torch.arange(inp, device=weight.device)
    factor_II = inverse_factor(hessian[order][:, order], damping)
    remaining = weight[:, order].float()
    tensor_scale = choose_tensor_scale(weight, format, TENSOR_SCALE_HEADROOM)
    codes = torch.empty((out, inp), dtype=torch.uint8, device=weight.device)
    scales = torch.empty((out, inp // block), dtype=torch.uint8, device=weight.device)
    for start in range(0, inp, block):
        stop = start + block
        columns = order[start:stop]
        candidates_SO = scale_candidates(remaining[:, start:stop], format, tensor_scale).squeeze(-1)
        steps_SO = decode_scales(candidates_SO, format) * tensor_scale
        codes_SOB, errors_SOB = round_block(remaining[:, start:stop], steps_SO, factor_II[start:stop, start:stop])
        best_O = errors_SOB.square().sum(dim=-1).argmin(dim=0)
        rows = torch.arange(out, device=weight.device)
        codes[:, columns] = codes_SOB[best_O, rows]
        scales[:, int(columns[0]) // block] = candidates_SO[best_O, rows]
        remaining[:, stop:] -= errors_SOB[best_O, rows] @ factor_II[start:stop, stop:]
    return PackedFp4(format, pack_nibbles(codes), scales, tensor_scale, (out, inp))


def descend(weight: Tensor, packed: PackedFp4, hessian: Tensor, sweeps: int = 2) -> PackedFp4:
    """Improve codes under fixed scales by coordinate descent on the output error (as in arXiv:2309.01885)."""
    steps = decode_scales(packed.scales, packed.format) * packed.tensor_scale
    steps = steps.repeat_interleave(packed.format.block, dim=1)
    values = e2m1_values(weight.device)
    rounded = dequantize(packed)
    codes = e2m1_encode(torch.where(steps > 0, rounded / steps, 0.0))
    pull = (weight.float() - rounded) @ hessian.float()
    activity = hessian.diagonal().float()
    for _ in range(sweeps):
        for j in range(weight.shape[1]):
            if activity[j] <= 0:
                continue
            step = steps[:, j]
            wanted = rounded[:, j] + pull[:, j] / activity[j]
            codes[:, j] = e2m1_encode(torch.where(step > 0, wanted / step, 0.0))
            moved = values[codes[:, j].int()] * step
            pull -= torch.outer(moved - rounded[:, j], hessian[j].float())
            rounded[:, j] = moved
    return PackedFp4(packed.format, pack_nibbles(codes), packed.scales, packed.tensor_scale, packed.shape)


def round_block(block_OB: Tensor, steps_SO: Tensor, factor_BB: Tensor) -> tuple[Tensor, Tensor]:
    """GPTQ inside one block for every candidate step S → (codes [S, O, B], errors divided by the factor's diagonal)."""
    values = e2m1_values(block_OB.device)
    waiting_SOB = block_OB.expand(steps_SO.shape[0], *block_OB.shape).clone()
    codes_SOB = torch.empty_like(waiting_SOB, dtype=torch.uint8)
    errors_SOB = torch.empty_like(waiting_SOB)
    for i in range(block_OB.shape[1]):
        column_SO = waiting_SOB[:, :, i]
        codes_SOB[:, :, i] = e2m1_encode(torch.where(steps_SO > 0, column_SO / steps_SO, 0.0))
        error_SO = (column_SO - values[codes_SOB[:, :, i].int()] * steps_SO) / factor_BB[i, i]
        errors_SOB[:, :, i] = error_SO
        waiting_SOB[:, :, i + 1 :] -= error_SO.unsqueeze(-1) * factor_BB[i, i + 1 :]
    return codes_SOB, errors_SOB


def scale_candidates(weight: Tensor, format: Fp4Format, tensor_scale: Tensor) -> Tensor:
    """Scale bits to try for each block: uint8 [candidate, out, in / block]."""
    own = encode_scales(weight, format, tensor_scale)
    nvfp4 = format is Fp4Format.NVFP4
    offsets = torch.tensor(list(NVFP4_CANDIDATES if nvfp4 else MXFP4_CANDIDATES), device=weight.device)
    highest = MAX_NVFP4_SCALE_CODE if nvfp4 else MAX_MXFP4_SCALE_CODE
    return (own.int() + offsets.view(-1, 1, 1)).clamp(0, highest).to(torch.uint8)


def column_order(activity: Tensor, block: int) -> Tensor:
    """Columns in descending activity, block by block so that columns under one scale stay together."""
    by_block = activity.reshape(-1, block)
    blocks = by_block.mean(dim=1).argsort(descending=True, stable=True)
    inside = by_block.argsort(dim=1, descending=True, stable=True)
    return (blocks.unsqueeze(1) * block + inside[blocks]).flatten()


def inverse_factor(hessian: Tensor, damping: float) -> Tensor:
    """Upper Cholesky factor of the damped Hessian's inverse, float32. An input that never fires counts as average."""
    damped = hessian.double().clone()
    diagonal = damped.diagonal()
    mean = diagonal.mean().clamp_min(torch.finfo(torch.float64).tiny)
    diagonal.copy_(torch.where(diagonal > 0, diagonal, mean) + damping * mean)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor.float()


def absorb_input_error(weight: Tensor, hessian: Tensor, cross: Tensor, damping: float = 0.01) -> Tensor:
    """The weight that, on the inputs that quantized layers below produce, comes closest to the original outputs.

    `hessian` is the second moment of those inputs and `cross` = exact.T @ those, [in, in]. Rounding this weight instead
    of the original lets each layer make up for the error of the layers below it (arXiv:2504.09629).
    """
    damped = hessian.double().clone()
    damped.diagonal().add_(damping * damped.diagonal().mean())
    shift = weight.double() @ (cross - hessian).double()
    change: Tensor = torch.linalg.solve(damped, shift.T).T
    return (weight.double() + change).float()
