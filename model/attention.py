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


def attend(q_BTHE: Tensor, k_BTGE: Tensor, v_BTGE: Tensor, mask_BTT: Tensor | None) -> Tensor:
    """Attention over whole sequences → [B, T, H, E]. `mask_BTT` True = visible, None = causal."""
    out_BHTE = F.scaled_dot_product_attention(
        q_BTHE.transpose(1, 2),
        k_BTGE.transpose(1, 2),
        v_BTGE.transpose(1, 2),
        attn_mask=None if mask_BTT is None else mask_BTT.unsqueeze(1),
        is_causal=mask_BTT is None,
        enable_gqa=q_BTHE.shape[2] != k_BTGE.shape[2],
    )
    return out_BHTE.transpose(1, 2)


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
