"""The transformer block and the pooling that both encoders share.

Pre-norm, full multi-head attention, GELU, biases: the plan of ViT and wav2vec 2.0. A block gives out its queries, keys
and values and takes the attended values back, so that its caller decides what may be seen and what is kept for later.

Shapes: B batch, T positions, P pooled positions, H heads, E width of a head, D width.
"""

import torch
from torch import nn
from torch.nn import functional as F

from model.init import EMBEDDING_STD, draw


class EncoderBlock(nn.Module):
    def __init__(self, width: int, num_heads: int, d_ffn: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ffn_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, d_ffn)
        self.down = nn.Linear(d_ffn, width)

    def project(self, x_BTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values, each [B, H, T, E]."""
        q_BTD, k_BTD, v_BTD = self.qkv(self.attention_norm(x_BTD)).chunk(3, dim=-1)
        return tuple(split_heads(part_BTD, self.num_heads) for part_BTD in (q_BTD, k_BTD, v_BTD))

    def finish(self, x_BTD: torch.Tensor, attended_BHTE: torch.Tensor) -> torch.Tensor:
        """Both residual additions, given what attention gathered."""
        x_BTD = x_BTD + self.out(attended_BHTE.transpose(1, 2).flatten(2))
        return x_BTD + self.down(F.gelu(self.up(self.ffn_norm(x_BTD))))


class AttentionPool(nn.Module):
    """Learned queries gather any number of positions into `num_positions`."""

    def __init__(self, width: int, num_heads: int, num_positions: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.queries_PD = nn.Parameter(torch.zeros(num_positions, width))
        self.norm = nn.LayerNorm(width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def init_own(self, generator: torch.Generator) -> None:
        draw(self.queries_PD, 1.0, generator)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """[B, T, D] to [B, P, D]."""
        k_BTD, v_BTD = self.kv(self.norm(x_BTD)).chunk(2, dim=-1)
        q_BPD = self.queries_PD.expand(x_BTD.shape[0], -1, -1)
        pooled_BHPE = F.scaled_dot_product_attention(
            *(split_heads(part, self.num_heads) for part in (q_BPD, k_BTD, v_BTD))
        )
        return self.out(pooled_BHPE.transpose(1, 2).flatten(2))


class LearnedPositions(nn.Module):
    """One learned vector for each of a fixed number of positions, added."""

    def __init__(self, num_positions: int, width: int) -> None:
        super().__init__()
        self.table_TD = nn.Parameter(torch.zeros(num_positions, width))

    def init_own(self, generator: torch.Generator) -> None:
        draw(self.table_TD, EMBEDDING_STD, generator)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return x_BTD + self.table_TD


def split_heads(x_BTD: torch.Tensor, num_heads: int) -> torch.Tensor:
    """[B, T, D] to [B, H, T, E]."""
    return x_BTD.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def rope_angles(num_positions: int, head_width: int, device: torch.device) -> torch.Tensor:
    """Rotary angles [T, E/2] (RoFormer, arXiv 2104.09864, section 3.2.2: base 10,000)."""
    frequencies = 10_000.0 ** (-torch.arange(0, head_width, 2, device=device, dtype=torch.float32) / head_width)
    return torch.arange(num_positions, device=device, dtype=torch.float32)[:, None] * frequencies


def rotate(x_BHTE: torch.Tensor, angles_TE: torch.Tensor) -> torch.Tensor:
    """Turn each pair (x[i], x[i + E/2]) by its angle."""
    cos, sin = angles_TE.cos().to(x_BHTE.dtype), angles_TE.sin().to(x_BHTE.dtype)
    first, second = x_BHTE.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
