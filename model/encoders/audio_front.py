"""The two front ends of the audio encoder: learned convolutions over samples, or log-mel bands and two convolutions.

Both are causal and streaming, and both give `latents_per_frame` latents of a 250 ms frame.

Shapes: B sessions, T samples or moments, C channels, M mel bands.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from model.tokenizers.mel import MelConfig, PowerMel
from model.tokenizers.streaming import CausalConv1d, Chain
from streams.types import SAMPLES_PER_TICK


@dataclass(frozen=True, slots=True)
class WaveFront:
    """One convolution of two strides' length per stride, then one of `closing_kernel` (wav2vec 2.0, made causal)."""

    channels: tuple[int, ...]
    closing_kernel: int
    strides: tuple[int, ...] = (5, 4, 5, 5)  # 48 latents a second; wav2vec 2.0 has 49

    def __post_init__(self) -> None:
        if not self.strides or len(self.strides) != len(self.channels):
            raise ValueError(f"one width for each stride: strides {self.strides}, channels {self.channels}")
        if min(self.closing_kernel, *self.channels, *self.strides) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        check_hop(math.prod(self.strides))

    @property
    def latents_per_frame(self) -> int:
        return SAMPLES_PER_TICK // math.prod(self.strides)


@dataclass(frozen=True, slots=True)
class MelFront(MelConfig):
    """Log-mel bands every `hop` samples, then convolutions of three moments, the second with stride 2 (Whisper).

    Whisper's hop is 10 ms; 250 samples are 10.4 ms, so that a frame has a whole number of latents.
    """

    window: int = 600  # 25 ms, as Whisper's

    def __post_init__(self) -> None:
        MelConfig.__post_init__(self)  # `super()` does not work in a class with slots of a dataclass
        check_hop(2 * self.hop)

    @property
    def latents_per_frame(self) -> int:
        return SAMPLES_PER_TICK // (2 * self.hop)


def check_hop(hop: int) -> None:
    """A latent covers `hop` samples; a frame must have a whole number of latents."""
    if SAMPLES_PER_TICK % hop:
        raise ValueError(f"{hop} samples a latent do not divide a frame of {SAMPLES_PER_TICK} samples")


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each moment, so that nothing looks along time, then GELU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x_BCT: torch.Tensor) -> torch.Tensor:
        return F.gelu(self.norm(x_BCT.transpose(1, 2)).transpose(1, 2))


class LogMel(PowerMel):
    """Samples [B, 1, T] to scaled log-mel bands [B, M, T / hop].

    Whisper's bands and scale, but for its floor, which hangs on the loudest moment of a whole recording: a stream knows
    no such moment, so the floor is fixed, eight decades below `LOUD`.
    """

    LOUD = 1.5  # log10 of the strongest band's power in ordinary speech, by Whisper's scale

    def __init__(self, config: MelFront) -> None:
        # A full-scale sine adds up to 100 in Whisper's window of 400 samples at 16 kHz.
        super().__init__(config, top_hz=8_000.0, sine_peak=100.0)

    def step(self, pcm_B1T: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mel_BNM, state = super().step(pcm_B1T, state)
        floor = 10.0 ** (self.LOUD - 8.0)
        return ((mel_BNM.clamp(min=floor).log10() + 4.0) / 4.0).transpose(1, 2), state


def build_front(config: WaveFront | MelFront, width: int) -> Chain:
    """Samples [B, 1, T] to latents [B, width, T / samples of a latent]."""
    if isinstance(config, MelFront):
        return Chain(
            LogMel(config),
            CausalConv1d(config.bands, width, 3, weight_normed=False),
            nn.GELU(),
            CausalConv1d(width, width, 3, 2, weight_normed=False),
            nn.GELU(),
        )
    parts: list[nn.Module] = []
    channels = 1
    for stride, next_channels in zip(config.strides, config.channels, strict=True):
        parts += [
            CausalConv1d(channels, next_channels, 2 * stride, stride, weight_normed=False),
            ChannelNorm(next_channels),
        ]
        channels = next_channels
    return Chain(*parts, CausalConv1d(channels, width, config.closing_kernel, weight_normed=False))
