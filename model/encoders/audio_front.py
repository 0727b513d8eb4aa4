"""The two front ends of the audio encoder: learned convolutions over samples, or log-mel bands and two convolutions.

Both are causal and streaming, and both give `latents_per_frame` latents of a 250 ms frame.

Shapes: B sessions, T samples or moments, C channels, M mel bands.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from model.tokenizers.streaming import CausalConv1d, Chain, Streaming
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK


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
class MelFront:
    """Log-mel bands every `hop` samples, then convolutions of three moments, the second with stride 2 (Whisper).

    Whisper's hop is 10 ms; 250 samples are 10.4 ms, so that a frame has a whole number of latents.
    """

    bands: int = 80
    window: int = 600  # 25 ms, as Whisper's
    hop: int = 250

    def __post_init__(self) -> None:
        if self.bands < 1 or not 1 <= self.hop <= self.window:
            raise ValueError(f"sizes must be positive, and the hop no longer than the window: {self}")
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


class LogMel(Streaming):
    """Samples [B, 1, T] to scaled log-mel bands [B, M, T / hop]. The state is the window's earlier samples.

    Whisper's bands and scale, but for its floor, which hangs on the loudest moment of a whole recording: a stream knows
    no such moment, so the floor is fixed, eight decades below `LOUD`.
    """

    LOUD = 1.5  # log10 of the strongest band's power in ordinary speech, by Whisper's scale
    TOP_HZ = 8_000.0

    def __init__(self, config: MelFront) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window_T", torch.zeros(config.window), persistent=False)
        self.register_buffer("bands_MF", torch.zeros(config.bands, config.window // 2 + 1), persistent=False)

    def init_own(self, generator: torch.Generator) -> None:
        # Whisper's window has 400 samples at 16 kHz; a longer one of the same 25 ms adds up to more.
        scale = 400 / self.config.window
        self.window_T.copy_(torch.hann_window(self.config.window) * scale)
        self.bands_MF.copy_(mel_bands(self.config.bands, self.config.window, self.TOP_HZ))

    def initial_state(self, batch: int) -> torch.Tensor:
        return self.window_T.new_zeros(batch, 1, self.config.window - self.config.hop)

    def step(self, pcm_B1T: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen_B1T = torch.cat((state, pcm_B1T), dim=-1)
        windows_BNT = seen_B1T[:, 0].unfold(-1, self.config.window, self.config.hop)
        power_BNF = torch.fft.rfft(windows_BNT.float() * self.window_T).abs().square()
        mel_BNM = power_BNF @ self.bands_MF.T
        floor = 10.0 ** (self.LOUD - 8.0)
        scaled_BMN = ((mel_BNM.clamp(min=floor).log10() + 4.0) / 4.0).transpose(1, 2)
        return scaled_BMN, seen_B1T[..., seen_B1T.shape[-1] - state.shape[-1] :].clone()


def mel_bands(num_bands: int, window: int, top_hz: float) -> torch.Tensor:
    """Triangular filters [bands, window / 2 + 1] of equal area on the mel scale (Slaney's Auditory Toolbox, 1998)."""

    def to_mel(hz: torch.Tensor) -> torch.Tensor:  # linear to 1 kHz, then 27 steps for a factor of 6.4
        return torch.where(hz < 1000, 3 * hz / 200, 15 + 27 * (hz.clamp(min=1000) / 1000).log() / math.log(6.4))

    def to_hz(mel: torch.Tensor) -> torch.Tensor:
        return torch.where(mel < 15, 200 * mel / 3, 1000 * ((mel - 15) * math.log(6.4) / 27).exp())

    top_mel = to_mel(torch.tensor(top_hz, dtype=torch.float64)).item()
    edges_hz = to_hz(torch.linspace(0.0, top_mel, num_bands + 2, dtype=torch.float64))
    bins_hz = torch.arange(window // 2 + 1, dtype=torch.float64) * SAMPLE_RATE_HZ / window
    low, mid, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    triangles = torch.minimum((bins_hz - low) / (mid - low), (high - bins_hz) / (high - mid)).clamp(min=0.0)
    return (triangles * 2.0 / (high - low)).float()


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
