"""The networks of a codec that works on samples: sound to one vector a frame, and a vector to sound.

Convolutions and an LSTM that look at the past only turn a frame's 6,000 samples into 15 latents; a learned pooling
makes one vector of them. The decoder mirrors it.

Structure after EnCodec (arXiv 2210.13438), with strides whose product divides the frame: 2 x 4 x 5 x 10 = 400.

Shapes: B sessions, T samples, F frames, N latents of a frame, C channels, D dimensions.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from model.tokenizers.streaming import (
    CausalConv1d,
    CausalConvTranspose1d,
    Chain,
    ResidualUnit,
    Streaming,
    StreamLSTM,
    StreamState,
)
from streams.types import SAMPLES_PER_TICK


@dataclass(frozen=True, slots=True)
class WaveCodecConfig:
    """`channels` is the width after the first convolution; it doubles with every stride."""

    channels: int = 32
    strides: tuple[int, ...] = (2, 4, 5, 10)
    kernel: int = 7
    residual_kernel: int = 3
    lstm_layers: int = 2
    latent_dim: int = 128

    def __post_init__(self) -> None:
        if min(self.channels, self.kernel, self.residual_kernel, self.lstm_layers, self.latent_dim, *self.strides) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        if SAMPLES_PER_TICK % self.hop:
            raise ValueError(f"strides {self.strides} make {self.hop}, which does not divide {SAMPLES_PER_TICK}")

    @property
    def hop(self) -> int:
        """Samples per latent."""
        return math.prod(self.strides)

    @property
    def latents_per_frame(self) -> int:
        return SAMPLES_PER_TICK // self.hop

    @property
    def top_channels(self) -> int:
        return self.channels << len(self.strides)


class WaveEncoder(Streaming):
    """Samples [B, 1, T] to one vector a frame [B, F, D]."""

    def __init__(self, config: WaveCodecConfig, dim: int) -> None:
        super().__init__()
        self.latents_per_frame = config.latents_per_frame
        width = config.channels
        parts: list[nn.Module] = [CausalConv1d(1, width, config.kernel)]
        for stride in config.strides:
            parts += [
                ResidualUnit(width, config.residual_kernel),
                nn.ELU(),
                CausalConv1d(width, 2 * width, 2 * stride, stride),
            ]
            width *= 2
        parts += [
            StreamLSTM(width, config.lstm_layers),
            nn.ELU(),
            CausalConv1d(width, config.latent_dim, config.kernel),
        ]
        self.body = Chain(*parts)
        self.pool = nn.Linear(config.latents_per_frame * config.latent_dim, dim)

    def initial_state(self, batch: int) -> StreamState:
        return self.body.initial_state(batch)

    def step(self, pcm_B1T: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        latents_BCT, state = self.body.step(pcm_B1T, state)
        latents_BCFN = latents_BCT.unflatten(-1, (-1, self.latents_per_frame))
        return self.pool(latents_BCFN.permute(0, 2, 1, 3).flatten(2)), state


class WaveDecoder(Streaming):
    """One vector a frame [B, F, D] to samples [B, 1, T]."""

    def __init__(self, config: WaveCodecConfig, dim: int) -> None:
        super().__init__()
        self.latents_per_frame = config.latents_per_frame
        self.unpool = nn.Linear(dim, config.latents_per_frame * config.latent_dim)
        width = config.top_channels
        parts: list[nn.Module] = [
            CausalConv1d(config.latent_dim, width, config.kernel),
            StreamLSTM(width, config.lstm_layers),
        ]
        for stride in reversed(config.strides):
            parts += [
                nn.ELU(),
                CausalConvTranspose1d(width, width // 2, stride),
                ResidualUnit(width // 2, config.residual_kernel),
            ]
            width //= 2
        parts += [nn.ELU(), CausalConv1d(width, 1, config.kernel)]
        self.body = Chain(*parts)

    def initial_state(self, batch: int) -> StreamState:
        return self.body.initial_state(batch)

    def step(self, z_BFD: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        latents_BFCN = self.unpool(z_BFD).unflatten(-1, (-1, self.latents_per_frame))
        return self.body.step(latents_BFCN.transpose(1, 2).flatten(2), state)
