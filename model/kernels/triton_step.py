"""What stands between the matrices of a decoder step, in Triton: norm, rotation into the cache, attention, gate.

Each program computes its row from that row and its slot alone, in a fixed order, so a row does not depend on its
company. None reads a size from the host that could change between steps: all can be captured into a CUDA graph.

Shape legend: N rows, D model width, F feed-forward width, S slots, H query heads, G key/value heads, C positions of a
slot, E head width, R half of it.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

POSITIONS = 64  # keys that attention reads at a time
GATE_COUNT = 1024


@triton.jit
def _rms_norm(x, weight, y, width, eps, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, WIDTH)
    values = tl.load(x + row * width + at, mask=at < width, other=0.0)
    scale = 1.0 / tl.sqrt(tl.sum(values * values) / width + eps)
    values = values * scale * tl.load(weight + at, mask=at < width, other=0.0)
    tl.store(y + row * width + at, values.to(y.dtype.element_ty), mask=at < width)


@triton.jit
def _rotate_and_store(
    qkv, cos, sin, slot, index, q_out, k_cache, v_cache, capacity,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    turn = tl.arange(0, HALF)
    source = qkv + (row * (HEADS + 2 * KV_HEADS) + head) * (2 * HALF) + turn
    first, second = tl.load(source), tl.load(source + HALF)
    place = tl.load(slot + row) * KV_HEADS * capacity + tl.load(index + row)
    if head < HEADS + KV_HEADS:
        c, s = tl.load(cos + row * HALF + turn), tl.load(sin + row * HALF + turn)
        rotated = first * c - second * s
        second = second * c + first * s
        first = rotated
        if head < HEADS:
            target = q_out + (row * HEADS + head) * (2 * HALF) + turn
        else:
            target = k_cache + (place + (head - HEADS) * capacity) * (2 * HALF) + turn
    else:
        target = v_cache + (place + (head - HEADS - KV_HEADS) * capacity) * (2 * HALF) + turn
    tl.store(target, first.to(tl.bfloat16))
    tl.store(target + HALF, second.to(tl.bfloat16))


@triton.jit
def _attend(
    q, k_cache, v_cache, slot, index, out, capacity, scale,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, WIDTH: tl.constexpr, COUNT: tl.constexpr,
):  # fmt: skip
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    element, position = tl.arange(0, WIDTH), tl.arange(0, COUNT)
    length = tl.load(index + row) + 1
    base = (tl.load(slot + row) * KV_HEADS + head // (HEADS // KV_HEADS)) * capacity * WIDTH
    query = tl.load(q + (row * HEADS + head) * WIDTH + element).to(tl.float32) * scale
    most = float("-inf")
    total = 0.0
    mixed = tl.zeros((WIDTH,), tl.float32)
    for start in range(0, length, COUNT):
        seen = start + position < length
        at = base + (start + position)[:, None] * WIDTH + element[None, :]
        keys = tl.load(k_cache + at, mask=seen[:, None], other=0.0).to(tl.float32)
        values = tl.load(v_cache + at, mask=seen[:, None], other=0.0).to(tl.float32)
        scores = tl.where(seen, tl.sum(keys * query[None, :], axis=1), float("-inf"))
        new_most = tl.maximum(most, tl.max(scores))
        shrink = tl.exp(most - new_most)
        weights = tl.exp(scores - new_most)
        total = total * shrink + tl.sum(weights)
        mixed = mixed * shrink + tl.sum(weights[:, None] * values, axis=0)
        most = new_most
    tl.store(out + (row * HEADS + head) * WIDTH + element, (mixed / total).to(out.dtype.element_ty))


@triton.jit
def _gate(gate_up, y, width, COUNT: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * COUNT + tl.arange(0, COUNT)
    gate = tl.load(gate_up + row * 2 * width + at, mask=at < width, other=0.0)
    up = tl.load(gate_up + (row * 2 + 1) * width + at, mask=at < width, other=0.0)
    tl.store(y + row * width + at, (gate / (1.0 + tl.exp(-gate)) * up).to(tl.bfloat16), mask=at < width)


def rms_norm(x_ND: Tensor, weight_D: Tensor, eps: float, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Root-mean-square norm of float32 rows, rounded to `dtype`."""
    num_rows, width = x_ND.shape
    y = torch.empty(num_rows, width, dtype=dtype, device=x_ND.device)
    _rms_norm[(num_rows,)](x_ND, weight_D, y, width, eps, WIDTH=triton.next_power_of_2(width), num_warps=8)
    return y


def rotate_and_store(
    qkv: Tensor, cos_NR: Tensor, sin_NR: Tensor, slot_N: Tensor, index_N: Tensor, k_SGCE: Tensor, v_SGCE: Tensor
) -> Tensor:
    """float32 [N, (H + 2G)·E] → rotated queries bfloat16 [N, H, E]; keys, rotated, and values go to their places."""
    _, num_kv_heads, capacity, width = k_SGCE.shape
    num_heads = qkv.shape[1] // width - 2 * num_kv_heads
    q_NHE = torch.empty(len(qkv), num_heads, width, dtype=torch.bfloat16, device=qkv.device)
    _rotate_and_store[(len(qkv), num_heads + 2 * num_kv_heads)](
        qkv, cos_NR, sin_NR, slot_N, index_N, q_NHE, k_SGCE, v_SGCE, capacity,
        HEADS=num_heads, KV_HEADS=num_kv_heads, HALF=width // 2, num_warps=1,
    )  # fmt: skip
    return q_NHE


def attend(q_NHE: Tensor, k_SGCE: Tensor, v_SGCE: Tensor, slot_N: Tensor, index_N: Tensor) -> Tensor:
    """Each row over its slot's positions up to its own → bfloat16 [N, H, E]. Scores and sums in float32."""
    num_rows, num_heads, width = q_NHE.shape
    out = torch.empty_like(q_NHE)
    _attend[(num_rows, num_heads)](
        q_NHE, k_SGCE, v_SGCE, slot_N, index_N, out, k_SGCE.shape[2], width**-0.5,
        HEADS=num_heads, KV_HEADS=k_SGCE.shape[1], WIDTH=width, COUNT=POSITIONS, num_warps=4,
    )  # fmt: skip
    return out


def gate(gate_up: Tensor) -> Tensor:
    """float32 [N, 2F] → silu(first half) * second half, bfloat16 [N, F]."""
    num_rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    y = torch.empty(num_rows, width, dtype=torch.bfloat16, device=gate_up.device)
    _gate[(num_rows, triton.cdiv(width, GATE_COUNT))](gate_up, y, width, COUNT=GATE_COUNT)
    return y
