"""Audio encoder: one 250 ms frame of 24 kHz sound to a few feature vectors of the decoder's width.

A causal front end makes 12 latents of a frame's 6,000 samples; a transformer sees the whole frame and a bounded number
of earlier ones; pooling and one projection make the vectors. `encode_frame` is what a live session uses: state
in, state out, every session computed alone, constant memory however long it lasts. `encode` takes whole recordings
through the same path, bit for bit. `forward` trains: whole sequences at once, equal up to rounding.

Plan and sizes after wav2vec 2.0 (arXiv 2006.11477, section 4.2) and Whisper (arXiv 2212.04356), made causal.

Shapes: B sessions, T samples, F frames, N latents of a frame, P positions handed to the decoder for a frame, L latents
in sight, H heads, E width of a head, D width.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import nn
from torch.nn import functional as F

from model.encoders.audio_front import MelFront, WaveFront, build_front
from model.encoders.transformer import AttentionPool, EncoderBlock, rope_angles, rotate
from model.tokenizers.streaming import Streaming, StreamState, step_rows
from streams.types import SAMPLES_PER_TICK


class Pooling(StrEnum):
    """How a frame's latents become its positions: learned queries gather them all, or neighbours are stacked."""

    ATTENTION = "attention"
    STACK = "stack"


@dataclass(frozen=True, slots=True)
class AudioEncoderConfig:
    """`context_frames` is how many earlier frames each layer looks back; `positions_per_frame` what a tick costs.

    One of the two front ends is given.
    """

    width: int
    num_layers: int
    num_heads: int
    context_frames: int
    positions_per_frame: int
    d_out: int
    pooling: Pooling = Pooling.ATTENTION
    wave: WaveFront | None = None
    mel: MelFront | None = None

    def __post_init__(self) -> None:
        if (self.wave is None) == (self.mel is None):
            raise ValueError(f"one front end is needed, wave or mel: {self}")
        if min(self.width, self.num_layers, self.num_heads) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        if min(self.context_frames, self.positions_per_frame, self.d_out) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        if self.width % (2 * self.num_heads):
            raise ValueError(f"{self.num_heads} heads of even width do not divide a width of {self.width}")
        if self.pooling is Pooling.STACK and self.latents_per_frame % self.positions_per_frame:
            raise ValueError(
                f"{self.latents_per_frame} latents do not stack into {self.positions_per_frame} positions a frame"
            )

    @property
    def front(self) -> WaveFront | MelFront:
        front = self.wave or self.mel
        assert front is not None, "checked when built"
        return front

    @property
    def latents_per_frame(self) -> int:
        return self.front.latents_per_frame

    @property
    def latents_per_position(self) -> int:
        """Of stacking."""
        return self.latents_per_frame // self.positions_per_frame


def seed_audio_encoder(d_out: int) -> AudioEncoderConfig:
    """About 50 million parameters of convolutions and 300 million of transformer; looks back 8 s a layer."""
    return AudioEncoderConfig(
        wave=WaveFront(channels=(256, 512, 1024, 2048), closing_kernel=11),
        width=1024,
        num_layers=24,
        num_heads=16,
        context_frames=32,
        positions_per_frame=4,
        d_out=d_out,
    )


def whisper_tiny_encoder(d_out: int) -> AudioEncoderConfig:
    """The shape of Whisper tiny's encoder, so as to start from its weights; 3 positions a tick, 4 s back a layer."""
    return AudioEncoderConfig(
        mel=MelFront(),
        width=384,
        num_layers=4,
        num_heads=6,
        context_frames=16,
        positions_per_frame=3,
        d_out=d_out,
        pooling=Pooling.STACK,
    )


def whisper_base_encoder(d_out: int) -> AudioEncoderConfig:
    """Likewise for Whisper base: 20 million parameters."""
    return replace(whisper_tiny_encoder(d_out), width=512, num_layers=6, num_heads=8)


def tiny_audio_encoder(d_out: int) -> AudioEncoderConfig:
    """For tests: a context short enough to slide out of."""
    return AudioEncoderConfig(
        wave=WaveFront(channels=(4, 4, 8, 8), closing_kernel=3),
        width=16,
        num_layers=2,
        num_heads=2,
        context_frames=2,
        positions_per_frame=1,
        d_out=d_out,
    )


class AudioEncoder(Streaming):
    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.front = build_front(config.front, config.width)
        self.blocks = nn.ModuleList(
            EncoderBlock(config.width, config.num_heads, 4 * config.width) for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.width)
        if config.pooling is Pooling.ATTENTION:
            self.pool = AttentionPool(config.width, config.num_heads, config.positions_per_frame)
            self.projection = nn.Linear(config.width, config.d_out, bias=False)
        else:
            self.projection = nn.Linear(config.latents_per_position * config.width, config.d_out, bias=False)

    def initial_state(self, batch: int) -> StreamState:
        """(front end, number of frames in sight [B], then keys and values [B, H, L, E] of each layer)."""
        config = self.config
        weight = self.projection.weight
        past = config.context_frames * config.latents_per_frame
        shape = (batch, config.num_heads, past, config.width // config.num_heads)
        caches = tuple((weight.new_zeros(shape), weight.new_zeros(shape)) for _ in self.blocks)
        frames_seen = torch.zeros(batch, dtype=torch.int64, device=weight.device)
        return self.front.initial_state(batch), frames_seen, caches

    def step(self, pcm_B1T: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        """Whole frames [B, 1, F x 6000] to features [B, F x P, D].

        Keys are kept unrotated and turned by their place in sight, so positions never grow with the session.
        """
        front_state, frames_seen_B, caches = state
        latents_BCT, front_state = self.front.step(pcm_B1T, front_state)
        x_BTD = latents_BCT.transpose(1, 2)
        num_latents = self.config.latents_per_frame
        num_frames = x_BTD.shape[1] // num_latents
        mask_B1TL = self._mask(frames_seen_B, num_frames)
        angles_LE = rope_angles(mask_B1TL.shape[-1], self.config.width // self.config.num_heads, x_BTD.device)
        past = self.config.context_frames * num_latents
        caches_after = []
        for block, (k_past, v_past) in zip(self.blocks, caches, strict=True):
            q_BHTE, k_BHTE, v_BHTE = block.project(x_BTD)
            k_BHLE, v_BHLE = torch.cat((k_past, k_BHTE), dim=2), torch.cat((v_past, v_BHTE), dim=2)
            attended_BHTE = F.scaled_dot_product_attention(
                rotate(q_BHTE, angles_LE[past:]), rotate(k_BHLE, angles_LE), v_BHLE, mask_B1TL
            )
            x_BTD = block.finish(x_BTD, attended_BHTE)
            caches_after.append((k_BHLE[:, :, -past:].clone(), v_BHLE[:, :, -past:].clone()))
        frames_seen_B = (frames_seen_B + num_frames).clamp(max=self.config.context_frames)
        return self._features(x_BTD, num_frames), (front_state, frames_seen_B, tuple(caches_after))

    def _mask(self, frames_seen_B: torch.Tensor, num_frames: int) -> torch.Tensor:
        """True where a latent is seen: in the same frame or at most `context_frames` before, and really there."""
        context = self.config.context_frames
        query_F1 = torch.arange(num_frames, device=frames_seen_B.device)[:, None]
        key_G = torch.arange(context + num_frames, device=frames_seen_B.device)  # the first `context` are the past
        near_FG = (key_G >= query_F1) & (key_G <= query_F1 + context)
        there_BG = key_G >= context - frames_seen_B[:, None]
        mask_BFG = near_FG & there_BG[:, None]
        num_latents = self.config.latents_per_frame
        return mask_BFG.repeat_interleave(num_latents, 1).repeat_interleave(num_latents, 2)[:, None]

    def _features(self, x_BTD: torch.Tensor, num_frames: int) -> torch.Tensor:
        if self.config.pooling is Pooling.STACK:
            return self.projection(self.norm(x_BTD).unflatten(1, (-1, self.config.latents_per_position)).flatten(2))
        frames_FND = x_BTD.unflatten(1, (num_frames, -1)).flatten(0, 1)
        features_FPD = self.projection(self.norm(self.pool(frames_FND)))
        return features_FPD.unflatten(0, (-1, num_frames)).flatten(1, 2)

    # --- frame by frame, and whole recordings through the same path ---

    def encoder_state(self, batch: int = 1) -> StreamState:
        return self.initial_state(batch)

    @torch.no_grad()
    def encode_frame(self, state: StreamState, pcm_B1T: torch.Tensor) -> tuple[torch.Tensor, StreamState]:
        """One frame of each session [B, 1, 6000] to features [B, P, D]."""
        if pcm_B1T.ndim != 3 or pcm_B1T.shape[1:] != (1, SAMPLES_PER_TICK):
            raise ValueError(f"a frame is [B, 1, {SAMPLES_PER_TICK}], got {list(pcm_B1T.shape)}")
        return step_rows(self.step, pcm_B1T, state)

    def encode(self, pcm_BT: torch.Tensor) -> torch.Tensor:
        """[B, T] to features [B, F x P, D]; silence fills the last frame."""
        state = self.encoder_state(pcm_BT.shape[0])
        features = []
        for frame_BT in pcm_BT.split(SAMPLES_PER_TICK, dim=-1):
            short = SAMPLES_PER_TICK - frame_BT.shape[-1]
            features_BPD, state = self.encode_frame(state, F.pad(frame_BT, (0, short))[:, None])
            features.append(features_BPD)
        return torch.cat(features, dim=1)
