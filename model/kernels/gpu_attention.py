"""Attention of a decode step over the slot cache, by a named implementation, and of one slot's many new rows.

`cache.k[layer]` is [S, G, C, E] with a stride of 1 along E, so its transpose [S, C, G, E] is the layout of
flash-attn's `flash_attn_with_kvcache` without a copy: that function reads the strides of all other dimensions.

Shape legend: N rows, S slots, H query heads, G key/value heads, C positions of a slot, E head width.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

# (q_NHE, k_SGCE, v_SGCE, slot_N, index_N) → [N, H, E]; row n sees positions 0 to index[n] of its slot.
DecodeAttention: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


class AttentionKernel(StrEnum):
    """What computes a decode step's attention. Never chosen by what happens to be installed."""

    TRITON = "triton"  # ours: reads only the positions held, a row never depends on its company
    FLASH = "flash"  # flash-attn with one split, so that a row's sums do not depend on how many rows there are
    SDPA = "sdpa"  # plain torch: copies each row's whole slot; the twin of the other two


def decode_attention(kernel: AttentionKernel) -> DecodeAttention:
    """The function of this name. Raises ImportError where its package is missing."""
    if kernel is AttentionKernel.TRITON:
        from model.kernels.triton_step import attend

        return attend
    if kernel is AttentionKernel.FLASH:
        try:
            from flash_attn import flash_attn_with_kvcache
        except ImportError as error:
            raise ImportError("flash attention needs the flash-attn package: pip install flash-attn") from error
        return flash_attention(flash_attn_with_kvcache)
    return attend_gathered


def flash_attention(flash_attn_with_kvcache: Callable[..., Tensor]) -> DecodeAttention:
    """The slot cache behind flash-attn's own function, which is passed in so that a test can see its arguments."""

    def attend(q_NHE: Tensor, k_SGCE: Tensor, v_SGCE: Tensor, slot_N: Tensor, index_N: Tensor) -> Tensor:
        out_N1HE = flash_attn_with_kvcache(
            q_NHE[:, None],
            k_SGCE.transpose(1, 2),
            v_SGCE.transpose(1, 2),
            cache_seqlens=(index_N + 1).to(torch.int32),
            cache_batch_idx=slot_N.to(torch.int32),
            causal=True,
            num_splits=1,
        )
        return out_N1HE[:, 0]

    return attend


def attend_gathered(q_NHE: Tensor, k_SGCE: Tensor, v_SGCE: Tensor, slot_N: Tensor, index_N: Tensor) -> Tensor:
    """Decode attention in plain torch, row by row in one call, over a copy of every row's slot."""
    position_C = torch.arange(k_SGCE.shape[2], device=q_NHE.device)
    mask_NC = position_C[None, :] <= index_N[:, None]
    k_NGCE, v_NGCE = k_SGCE[slot_N], v_SGCE[slot_N]
    shares = q_NHE.shape[1] != k_SGCE.shape[1]
    out_NH1E = F.scaled_dot_product_attention(
        q_NHE[:, :, None], k_NGCE, v_NGCE, attn_mask=mask_NC[:, None, None], enable_gqa=shares
    )
    return out_NH1E[:, :, 0]


def attend_slot(q_NHE: Tensor, k_GCE: Tensor, v_GCE: Tensor, first: int) -> Tensor:
    """New rows at positions `first` onward of one slot, each over those up to its own → [N, H, E]."""
    end = first + len(q_NHE)
    row_N = torch.arange(first, end, device=q_NHE.device)
    mask_NC = row_N[:, None] >= torch.arange(end, device=q_NHE.device)[None, :]
    out_HNE = F.scaled_dot_product_attention(
        q_NHE.transpose(0, 1)[None],
        k_GCE[None, :, :end],
        v_GCE[None, :, :end],
        attn_mask=mask_NC,
        enable_gqa=q_NHE.shape[1] != k_GCE.shape[0],
    )[0]
    return out_HNE.transpose(0, 1)
