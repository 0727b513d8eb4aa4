"""The decoder in plain torch: the reference that every fast path is compared with, and what training runs.

Takes embedded positions, returns normalised hidden states. Knows neither tokens nor streams nor ticks.

Shape legend: B batch, T time, N ragged rows of several sequences, D model width, H query heads, G key/value heads,
E head width, R half of it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.attention import attend, attend_cached
from model.cache import Rows, SlotCache
from model.config import DecoderConfig
from model.rotary import apply_rotary, rotary_table


class RMSNorm(nn.Module):
    """Root-mean-square normalisation (arXiv:1910.07467), computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def init_own(self, generator: torch.Generator) -> None:
        """Ones; nothing is drawn."""
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        normed = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + self.eps)
        return (normed * self.weight.float()).to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions (arXiv:2305.13245, arXiv:2104.09864)."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.d_head = config.num_heads, config.num_kv_heads, config.d_head
        self.q_proj = nn.Linear(config.d_model, config.num_heads * config.d_head, bias=False)
        self.k_proj = nn.Linear(config.d_model, config.num_kv_heads * config.d_head, bias=False)
        self.v_proj = nn.Linear(config.d_model, config.num_kv_heads * config.d_head, bias=False)
        self.o_proj = nn.Linear(config.num_heads * config.d_head, config.d_model, bias=False)

    def _project(self, x: Tensor, cos_R: Tensor, sin_R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[..., D] → q [..., H, E], k [..., G, E], v [..., G, E], with q and k rotated."""
        q = self.q_proj(x).unflatten(-1, (self.num_heads, self.d_head))
        k = self.k_proj(x).unflatten(-1, (self.num_kv_heads, self.d_head))
        v = self.v_proj(x).unflatten(-1, (self.num_kv_heads, self.d_head))
        return apply_rotary(q, cos_R, sin_R), apply_rotary(k, cos_R, sin_R), v

    def forward(self, x_BTD: Tensor, cos_BTR: Tensor, sin_BTR: Tensor, mask_BTT: Tensor | None) -> Tensor:
        q, k, v = self._project(x_BTD, cos_BTR, sin_BTR)
        return self.o_proj(attend(q, k, v, mask_BTT).flatten(-2))

    def forward_cached(
        self, x_ND: Tensor, cos_NR: Tensor, sin_NR: Tensor, rows: Rows, layer: int, cache: SlotCache
    ) -> Tensor:
        q_NHE, k_NGE, v_NGE = self._project(x_ND, cos_NR, sin_NR)
        cache.write(layer, rows, k_NGE, v_NGE)
        return self.o_proj(attend_cached(q_NHE, rows, layer, cache).flatten(-2))


class SwiGLU(nn.Module):
    """Gated feed-forward (arXiv:2002.05202): three matrices, so d_ffn is about 8/3 of the model width."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_ffn, bias=False)
        self.up_proj = nn.Linear(config.d_model, config.d_ffn, bias=False)
        self.down_proj = nn.Linear(config.d_ffn, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model, config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.d_model, config.norm_eps)
        self.ffn = SwiGLU(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin, mask)
        return x + self.ffn(self.ffn_norm(x))

    def forward_cached(self, x: Tensor, cos: Tensor, sin: Tensor, rows: Rows, layer: int, cache: SlotCache) -> Tensor:
        x = x + self.attention.forward_cached(self.attention_norm(x), cos, sin, rows, layer, cache)
        return x + self.ffn(self.ffn_norm(x))


class Decoder(nn.Module):
    """A stack of layers and a final norm."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)

    def forward(self, x_BTD: Tensor, position_BT: Tensor, mask_BTT: Tensor | None = None) -> Tensor:
        """Whole sequences, for training. `mask_BTT` True = visible; None is causal."""
        cos, sin = self.rotary(position_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, cos, sin, mask_BTT)
        return self.norm(x_BTD)

    @torch.inference_mode()
    def forward_cached(self, x_ND: Tensor, rows: Rows, cache: SlotCache) -> Tensor:
        """Append rows to their slots and return their hidden states [N, D] in float32.

        Each sequence's rows are computed on their own, so a row's result cannot depend on who else is in the batch:
        matrix libraries choose other kernels, and other orders of addition, for other numbers of rows.
        """
        hidden_ND = torch.empty_like(x_ND, dtype=torch.float32)
        for row_slice, group in rows.by_slot():
            cos, sin = self.rotary(group.position)
            x = x_ND[row_slice].to(self.norm.weight.dtype)
            for index, layer in enumerate(self.layers):
                x = layer.forward_cached(x, cos, sin, group, index, cache)
            hidden_ND[row_slice] = self.norm(x).float()
        return hidden_ND

    def rotary(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [..., R] of positions."""
        return rotary_table(position, self.config.d_head, self.config.rope_theta)
