"""Neural audio codec: one 250 ms frame of 24 kHz sound to four codes, and back.

Convolutions and an LSTM that look at the past only turn a frame's 6,000 samples into 15 latents; a learned pooling
makes one vector of them, and the quantizer codes it. The decoder mirrors it: codes, vector, 15 latents, 6,000 samples.

`encode_frame` and `decode_frame` are what a live session uses: state in, state out, every session computed alone.
`encode` and `decode` take whole recordings through the same frame path, so both give identical bits. `forward` is for
training: batched, differentiable, whole sequences at once, equal up to rounding.

Structure after EnCodec (arXiv 2210.13438), with strides whose product divides the frame: 2 x 4 x 5 x 10 = 400.

Shapes: B sessions, T samples, F frames, N latents of a frame, C channels, D dimensions, K codebooks.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from model.tokenizers.quantizer import QuantizerConfig, QuantizerKind, build_quantizer, check_codes
from model.tokenizers.streaming import (
    CausalConv1d,
    CausalConvTranspose1d,
    Chain,
    ResidualUnit,
    Streaming,
    StreamLSTM,
    StreamState,
    fold_weight_norm,
    step_rows,
)
from streams.types import SAMPLES_PER_TICK


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """`channels` is the width after the first convolution; it doubles with every stride."""

    quantizer: QuantizerConfig
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


def seed_codec(kind: QuantizerKind = QuantizerKind.RESIDUAL) -> CodecConfig:
    """Full size: 32 to 512 channels, two LSTM layers, 4 codebooks of 65,536."""
    dim = 128 if kind is QuantizerKind.RESIDUAL else 32  # EnCodec's latent width; 4 codes of 8 grid dimensions
    return CodecConfig(QuantizerConfig(kind, num_codebooks=4, codebook_size=65_536, dim=dim))


def light_codec() -> CodecConfig:
    """The same shape at a quarter of the width, on the grid: a few milliseconds a frame on one core."""
    return CodecConfig(
        QuantizerConfig(QuantizerKind.GRID, num_codebooks=4, codebook_size=65_536, dim=32), channels=8, latent_dim=32
    )


def tiny_codec(kind: QuantizerKind = QuantizerKind.RESIDUAL) -> CodecConfig:
    """For tests: the same shape of network, a hundredth of the work."""
    quantizer = QuantizerConfig(kind, num_codebooks=4, codebook_size=256, dim=16)
    return CodecConfig(quantizer, channels=4, latent_dim=8)


@dataclass(frozen=True, slots=True)
class CodecOutput:
    """One training pass. `pcm_B1T` is not limited to [-1, 1], so that every sample has a gradient."""

    pcm_B1T: torch.Tensor
    codes_BFK: torch.Tensor
    commitment_loss: torch.Tensor


class CodecEncoder(Streaming):
    """Samples [B, 1, T] to one vector a frame [B, F, D]."""

    def __init__(self, config: CodecConfig) -> None:
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
        self.pool = nn.Linear(config.latents_per_frame * config.latent_dim, config.quantizer.dim)

    def initial_state(self, batch: int) -> StreamState:
        return self.body.initial_state(batch)

    def step(self, pcm_B1T: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        latents_BCT, state = self.body.step(pcm_B1T, state)
        latents_BCFN = latents_BCT.unflatten(-1, (-1, self.latents_per_frame))
        return self.pool(latents_BCFN.permute(0, 2, 1, 3).flatten(2)), state


class CodecDecoder(Streaming):
    """One vector a frame [B, F, D] to samples [B, 1, T]."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.latents_per_frame = config.latents_per_frame
        self.unpool = nn.Linear(config.quantizer.dim, config.latents_per_frame * config.latent_dim)
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


class AudioCodec(nn.Module):
    """The three parts together, and the two ways to run them."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = CodecEncoder(config)
        self.quantizer = build_quantizer(config.quantizer)
        self.decoder = CodecDecoder(config)

    def fold_weight_norm(self) -> None:
        """For inference: weights once and for all. After this the codec is no longer trained."""
        fold_weight_norm(self)

    # --- frame by frame ---

    def encoder_state(self, batch: int = 1) -> StreamState:
        return self.encoder.initial_state(batch)

    def decoder_state(self, batch: int = 1) -> StreamState:
        return self.decoder.initial_state(batch)

    @torch.no_grad()
    def encode_frame(self, state: StreamState, pcm_B1T: torch.Tensor) -> tuple[torch.Tensor, StreamState]:
        """One frame of each session [B, 1, 6000] to codes [B, K]."""
        if pcm_B1T.ndim != 3 or pcm_B1T.shape[1:] != (1, SAMPLES_PER_TICK):
            raise ValueError(f"a frame is [B, 1, {SAMPLES_PER_TICK}], got {list(pcm_B1T.shape)}")
        return step_rows(self._encode_step, pcm_B1T, state)

    @torch.no_grad()
    def decode_frame(self, state: StreamState, codes_BK: torch.Tensor) -> tuple[torch.Tensor, StreamState]:
        """One frame of codes of each session [B, K] to samples [B, 6000] in [-1, 1]."""
        check_codes(codes_BK, self.config.quantizer)
        return step_rows(self._decode_step, codes_BK, state)

    def _encode_step(self, pcm_B1T: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        z_BFD, state = self.encoder.step(pcm_B1T, state)
        return self.quantizer.encode(z_BFD[:, 0]), state

    def _decode_step(self, codes_BK: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        pcm_B1T, state = self.decoder.step(self.quantizer.decode(codes_BK)[:, None], state)
        return pcm_B1T[:, 0].clamp(-1.0, 1.0), state

    # --- whole recordings ---

    def encode(self, pcm_BT: torch.Tensor) -> torch.Tensor:
        """[B, T] to codes [B, F, K]; silence fills the last frame."""
        frames = pcm_BT.split(SAMPLES_PER_TICK, dim=-1)
        state = self.encoder_state(pcm_BT.shape[0])
        codes = []
        for frame_BT in frames:
            short = SAMPLES_PER_TICK - frame_BT.shape[-1]
            codes_BK, state = self.encode_frame(state, nn.functional.pad(frame_BT, (0, short))[:, None])
            codes.append(codes_BK)
        return torch.stack(codes, dim=1)

    def decode(self, codes_BFK: torch.Tensor) -> torch.Tensor:
        """[B, F, K] codes to [B, F x 6000] samples."""
        state = self.decoder_state(codes_BFK.shape[0])
        pcm = []
        for codes_BK in codes_BFK.unbind(dim=1):
            pcm_BT, state = self.decode_frame(state, codes_BK)
            pcm.append(pcm_BT)
        return torch.cat(pcm, dim=-1)

    def forward(self, pcm_B1T: torch.Tensor) -> CodecOutput:
        """Whole frames [B, 1, F x 6000] there and back, with gradients."""
        if pcm_B1T.shape[-1] % SAMPLES_PER_TICK:
            raise ValueError(f"training takes whole frames of {SAMPLES_PER_TICK} samples, got {pcm_B1T.shape[-1]}")
        z_BFD = self.encoder(pcm_B1T)
        quantized = self.quantizer(z_BFD.flatten(0, 1))
        frames = z_BFD.shape[:2]
        pcm_B1T = self.decoder(quantized.z_BD.unflatten(0, frames))
        return CodecOutput(pcm_B1T, quantized.codes_BK.unflatten(0, frames), quantized.commitment_loss)
