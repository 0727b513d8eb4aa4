"""Transformer layers that see a whole frame and a bounded number of earlier ones, never a later one.

Whole sequences in training, frame by frame in use, with keys and values as the state. Keys are kept unrotated and
turned by their place in sight, so positions never grow with the session.

Shapes: B sessions, F frames, T tokens, L tokens in sight, H heads, E width of a head, D width.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from model.encoders.transformer import EncoderBlock, rope_angles, rotate
from model.tokenizers.streaming import Streaming, StreamState


@dataclass(frozen=True, slots=True)
class BlockCausalConfig:
    """`context_frames` is how many earlier frames each layer looks back."""

    width: int
    num_layers: int
    num_heads: int
    d_ffn: int
    context_frames: int

    def __post_init__(self) -> None:
        if min(self.width, self.num_layers, self.num_heads, self.d_ffn, self.context_frames) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        if self.width % (2 * self.num_heads):
            raise ValueError(f"{self.num_heads} heads of even width do not divide a width of {self.width}")


class BlockCausal(Streaming):
    """[B, F x tokens, D] to the same shape. The state: frames in sight [B], then keys and values of each layer."""

    def __init__(self, config: BlockCausalConfig, tokens_per_frame: int) -> None:
        super().__init__()
        self.config = config
        self.tokens_per_frame = tokens_per_frame
        self.blocks = nn.ModuleList(
            EncoderBlock(config.width, config.num_heads, config.d_ffn) for _ in range(config.num_layers)
        )

    @property
    def _head_width(self) -> int:
        return self.config.width // self.config.num_heads

    def initial_state(self, batch: int) -> StreamState:
        weight = self.blocks[0].out.weight
        shape = (batch, self.config.num_heads, self.config.context_frames * self.tokens_per_frame, self._head_width)
        caches = tuple((weight.new_zeros(shape), weight.new_zeros(shape)) for _ in self.blocks)
        return torch.zeros(batch, dtype=torch.int64, device=weight.device), caches

    def step(self, x_BTD: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        frames_seen_B, caches = state
        past = self.config.context_frames * self.tokens_per_frame
        num_frames = x_BTD.shape[1] // self.tokens_per_frame
        mask_B1TL = self._mask(frames_seen_B, num_frames)
        angles_LE = rope_angles(mask_B1TL.shape[-1], self._head_width, x_BTD.device)
        caches_after = []
        for block, (k_past, v_past) in zip(self.blocks, caches, strict=True):
            q_BHTE, k_BHTE, v_BHTE = block.project(x_BTD)
            k_BHLE = torch.cat((k_past.to(k_BHTE.dtype), k_BHTE), dim=2)
            v_BHLE = torch.cat((v_past.to(v_BHTE.dtype), v_BHTE), dim=2)
            attended_BHTE = F.scaled_dot_product_attention(
                rotate(q_BHTE, angles_LE[past:]), rotate(k_BHLE, angles_LE), v_BHLE, mask_B1TL
            )
            x_BTD = block.finish(x_BTD, attended_BHTE)
            caches_after.append((k_BHLE[:, :, -past:].clone(), v_BHLE[:, :, -past:].clone()))
        frames_seen_B = (frames_seen_B + num_frames).clamp(max=self.config.context_frames)
        return x_BTD, (frames_seen_B, tuple(caches_after))

    def _mask(self, frames_seen_B: torch.Tensor, num_frames: int) -> torch.Tensor:
        """True where a token is seen: in the same frame or at most `context_frames` before, and really there."""
        context = self.config.context_frames
        query_F1 = torch.arange(num_frames, device=frames_seen_B.device)[:, None]
        key_G = torch.arange(context + num_frames, device=frames_seen_B.device)  # the first `context` are the past
        near_FG = (key_G >= query_F1) & (key_G <= query_F1 + context)
        there_BG = key_G >= context - frames_seen_B[:, None]
        mask_BFG = near_FG & there_BG[:, None]
        return mask_BFG.repeat_interleave(self.tokens_per_frame, 1).repeat_interleave(self.tokens_per_frame, 2)[:, None]
