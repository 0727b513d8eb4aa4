"""Audio encoder: one 250 ms frame of 24 kHz sound to a few feature vectors of the decoder's width.

A causal front end makes 12 latents of a frame's 6,000 samples; a transformer sees the whole frame and a bounded number
of earlier ones; pooling and one projection make the vectors. `encode_frame` is what a live session uses: state
in, state out, every session computed alone, constant memory however long it lasts. `encode` takes whole recordings
through the same path, bit for bit. `forward` trains: whole sequences at once, equal up to rounding.

Plan and sizes after wav2vec 2.0 (arXiv 2006.11477, section 4.2) and Whisper (arXiv 2212.04356), made causal.

Shapes: B sessions, T samples or latents, F frames, N latents of a frame, P positions handed to the decoder for a frame,
D width.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import nn
from torch.nn import functional as F

from model.encoders.audio_front import MelFront, WaveFront, build_front
from model.encoders.transformer import AttentionPool
from model.tokenizers.block_causal import BlockCausal, BlockCausalConfig
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
        if min(self.positions_per_frame, self.d_out) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        _ = self.body  # which checks the rest
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
    def body(self) -> BlockCausalConfig:
        return BlockCausalConfig(self.width, self.num_layers, self.num_heads, 4 * self.width, self.context_frames)

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
        self.body = BlockCausal(config.body, config.latents_per_frame)
        self.norm = nn.LayerNorm(config.width)
        if config.pooling is Pooling.ATTENTION:
            self.pool = AttentionPool(config.width, config.num_heads, config.positions_per_frame)
            self.projection = nn.Linear(config.width, config.d_out, bias=False)
        else:
            self.projection = nn.Linear(config.latents_per_position * config.width, config.d_out, bias=False)

    def initial_state(self, batch: int) -> StreamState:
        """(that of the front end, that of the transformer)."""
        return self.front.initial_state(batch), self.body.initial_state(batch)

    def step(self, pcm_B1T: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        """Whole frames [B, 1, F x 6000] to features [B, F x P, D]."""
        latents_BTD, state = self.step_latents(pcm_B1T, state)
        return self.features(latents_BTD), state

    def step_latents(self, pcm_B1T: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        """Whole frames to what the transformer makes of them, [B, F x N, D], before pooling."""
        front_state, body_state = state
        latents_BDT, front_state = self.front.step(pcm_B1T, front_state)
        latents_BTD, body_state = self.body.step(latents_BDT.transpose(1, 2), body_state)
        return latents_BTD, (front_state, body_state)

    def features(self, latents_BTD: torch.Tensor) -> torch.Tensor:
        """Latents of whole frames [B, F x N, D] to features [B, F x P, D]."""
        if self.config.pooling is Pooling.STACK:
            return self.projection(
                self.norm(latents_BTD).unflatten(1, (-1, self.config.latents_per_position)).flatten(2)
            )
        frames_BFND = latents_BTD.unflatten(1, (-1, self.config.latents_per_frame))
        features_FPD = self.projection(self.norm(self.pool(frames_BFND.flatten(0, 1))))
        return features_FPD.unflatten(0, frames_BFND.shape[:2]).flatten(1, 2)

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
