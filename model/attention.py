"""Scaled dot-product attention over whole sequences and over the slot cache, and the masks they use.

Shape legend as in decoder.py: H query heads, G key/value heads, E head width, N rows of one sequence, C cache.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.cache import Rows, SlotCache


def temporal_mask(tick_BT: Tensor, order_BT: Tensor) -> Tensor:
    """Visibility [B, T, T] of streams kept separate: i sees j of an earlier tick, or of its own and not later in order.

    `order` ranks the positions of one tick; a sequence sorted by (tick, order) makes this the causal mask.
    """
    earlier = tick_BT[:, :, None] > tick_BT[:, None, :]
    same = tick_BT[:, :, None] == tick_BT[:, None, :]
    return earlier | (same & (order_BT[:, :, None] >= order_BT[:, None, :]))


# Up to this length training on the CPU multiplies whole matrices: 18 ms against 48 for 9 heads of 2 x 512 positions,
# forward and backward on one core with AVX-512 BF16. The fused kernel computes in float32 there.
LONGEST_BY_PRODUCTS = 1_024
HIDDEN = -1e30  # finite, so that a padding position that sees nothing does not become NaN


def attend(q_BTHE: Tensor, k_BTGE: Tensor, v_BTGE: Tensor, mask_BTT: Tensor | None) -> Tensor:
    """Attention over whole sequences → [B, T, H, E]. `mask_BTT` True = visible, None = causal."""
    is_training = q_BTHE.requires_grad and q_BTHE.dtype is torch.bfloat16
    if is_training and q_BTHE.device.type == "cpu" and q_BTHE.shape[1] <= LONGEST_BY_PRODUCTS:
        return attend_by_products(q_BTHE, k_BTGE, v_BTGE, mask_BTT)
    out_BHTE = F.scaled_dot_product_attention(
        q_BTHE.transpose(1, 2),
        k_BTGE.transpose(1, 2),
        v_BTGE.transpose(1, 2),
        attn_mask=None if mask_BTT is None else mask_BTT.unsqueeze(1),
        is_causal=mask_BTT is None,
        enable_gqa=q_BTHE.shape[2] != k_BTGE.shape[2],
    )
    return out_BHTE.transpose(1, 2)


def attend_by_products(q_BTHE: Tensor, k_BTGE: Tensor, v_BTGE: Tensor, mask_BTT: Tensor | None) -> Tensor:
    """The same as plain matrix products; the H / G query heads of a group are rows of one product."""
    batch, time, num_heads, width = q_BTHE.shape
    groups = k_BTGE.shape[2]
    q = (q_BTHE * width**-0.5).transpose(1, 2).reshape(batch, groups, -1, width)  # [B, G, H/G x T, E]
    if mask_BTT is None:
        mask_BTT = torch.ones((1, time, time), dtype=torch.bool, device=q.device).tril()
    hidden = torch.zeros(mask_BTT.shape, dtype=q.dtype, device=q.device).masked_fill_(~mask_BTT, HIDDEN)
    scores = (q @ k_BTGE.permute(0, 2, 3, 1)).view(batch, groups, -1, time, time) + hidden[:, None, None]
    out = torch.softmax(scores, dim=-1).view(batch, groups, -1, time) @ v_BTGE.transpose(1, 2)
    return out.view(batch, num_heads, time, width).transpose(1, 2)


def attend_cached(q_NHE: Tensor, rows: Rows, layer: int, cache: SlotCache) -> Tensor:
    """Rows of one slot over that slot's keys, each up to its own index → [N, H, E]."""
    end = int(rows.index[-1]) + 1
    k_GCE, v_GCE = cache.read(layer, int(rows.slot[0]), end, q_NHE.dtype)
    mask_NC = None
    if len(rows) > 1:
        mask_NC = rows.index[:, None] >= torch.arange(end, device=q_NHE.device)[None, :]
    out_HNE = F.scaled_dot_product_attention(
        q_NHE.transpose(0, 1)[None], k_GCE[None], v_GCE[None], attn_mask=mask_NC, enable_gqa=True
    )[0]
    return out_HNE.transpose(0, 1)
