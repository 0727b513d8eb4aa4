"""Streaming vocoder: scaled mel bands to samples, one frame in, one frame out, every layer causal.

ConvNeXt blocks over moments, then magnitude and phase of a short spectrum for each moment, overlapped and added (Vocos,
arXiv 2306.00814, made causal). A moment's spectrum spans three hops and ends where its mel window ends; what is given
out is complete, so sound comes `LATE_HOPS` hops (20.8 ms) after it went in.

Shapes: B sessions, N moments, M bands, C channels, S bins of a spectrum, W samples of its window.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from model.tokenizers.mel import MelConfig
from model.tokenizers.streaming import CausalConv1d, Chain, Streaming, StreamState

WINDOW_HOPS = 3  # Hann windows overlapping threefold add up to a constant 1.5
LATE_HOPS = WINDOW_HOPS - 1
MAX_LOG_MAGNITUDE = 6.0  # of a bin: beyond full scale for any window here; keeps exp finite


@dataclass(frozen=True, slots=True)
class VocoderConfig:
    channels: int
    num_blocks: int
    d_ffn: int
    kernel: int = 7

    def __post_init__(self) -> None:
        if min(self.channels, self.num_blocks, self.d_ffn, self.kernel) < 1:
            raise ValueError(f"sizes must be positive: {self}")


class ConvNeXtBlock(Streaming):
    """Depthwise causal convolution, norm, two pointwise layers, a learned scale, around a skip (arXiv 2201.03545)."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.context = config.kernel - 1
        self.depthwise = nn.Conv1d(config.channels, config.channels, config.kernel, groups=config.channels)
        self.norm = nn.LayerNorm(config.channels)
        self.up = nn.Linear(config.channels, config.d_ffn)
        self.down = nn.Linear(config.d_ffn, config.channels)
        self.scale_C = nn.Parameter(torch.zeros(config.channels))
        self.starting_scale = 1.0 / config.num_blocks

    def init_own(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            self.scale_C.fill_(self.starting_scale)

    def initial_state(self, batch: int) -> torch.Tensor:
        return self.scale_C.new_zeros(batch, self.context, len(self.scale_C))

    def step(self, x_BNC: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen_BNC = torch.cat((state.to(x_BNC.dtype), x_BNC), dim=1)
        mixed_BNC = self.depthwise(seen_BNC.transpose(1, 2)).transpose(1, 2)
        changed_BNC = self.down(F.gelu(self.up(self.norm(mixed_BNC))))
        return x_BNC + self.scale_C * changed_BNC, seen_BNC[:, seen_BNC.shape[1] - self.context :].clone()


class SpectrumHead(Streaming):
    """[B, N, C] to samples [B, 1, N x hop]. The state is the unfinished end of what was overlapped and added."""

    def __init__(self, channels: int, hop: int) -> None:
        super().__init__()
        self.hop, self.window = hop, WINDOW_HOPS * hop
        self.num_bins = self.window // 2 + 1
        self.projection = nn.Linear(channels, 2 * self.num_bins)
        self.register_buffer("window_W", torch.zeros(self.window), persistent=False)

    def init_own(self, generator: torch.Generator) -> None:
        self.window_W.copy_(torch.hann_window(self.window) / (WINDOW_HOPS / 2))

    def initial_state(self, batch: int) -> torch.Tensor:
        return self.window_W.new_zeros(batch, self.window - self.hop)

    def step(self, x_BNC: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        log_magnitude_BNS, phase_BNS = self.projection(x_BNC).float().chunk(2, dim=-1)
        magnitude_BNS = log_magnitude_BNS.clamp(max=MAX_LOG_MAGNITUDE).exp()
        spectrum_BNS = torch.complex(magnitude_BNS * phase_BNS.cos(), magnitude_BNS * phase_BNS.sin())
        pieces_BNW = torch.fft.irfft(spectrum_BNS, n=self.window) * self.window_W
        num_moments = pieces_BNW.shape[1]
        total_BT = F.pad(state, (0, num_moments * self.hop))
        for part, piece_BNT in enumerate(pieces_BNW.split(self.hop, dim=-1)):
            start = part * self.hop
            total_BT = total_BT + F.pad(
                piece_BNT.flatten(1), (start, total_BT.shape[-1] - start - num_moments * self.hop)
            )
        return total_BT[:, None, : num_moments * self.hop], total_BT[:, num_moments * self.hop :].clone()


class Vocoder(Streaming):
    """Scaled mel bands [B, N, M] to samples [B, 1, N x hop]."""

    def __init__(self, config: VocoderConfig, mel: MelConfig) -> None:
        super().__init__()
        self.first = CausalConv1d(mel.bands, config.channels, config.kernel, weight_normed=False)
        self.norm = nn.LayerNorm(config.channels)
        self.body = Chain(*(ConvNeXtBlock(config) for _ in range(config.num_blocks)))
        self.last_norm = nn.LayerNorm(config.channels)
        self.head = SpectrumHead(config.channels, mel.hop)

    def initial_state(self, batch: int) -> StreamState:
        return self.first.initial_state(batch), self.body.initial_state(batch), self.head.initial_state(batch)

    def step(self, mel_BNM: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        first_state, body_state, head_state = state
        x_BCN, first_state = self.first.step(mel_BNM.transpose(1, 2), first_state)
        x_BNC, body_state = self.body.step(self.norm(x_BCN.transpose(1, 2)), body_state)
        pcm_B1T, head_state = self.head.step(self.last_norm(x_BNC), head_state)
        return pcm_B1T, (first_state, body_state, head_state)
