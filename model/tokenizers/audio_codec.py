"""Neural audio codec: one 250 ms frame of 24 kHz sound to four codes, and back.

An encoder makes one vector of a frame's 6,000 samples, the quantizer codes it, a decoder makes samples of it again.
Two pairs of networks do that: on samples (`wave_codec.py`) or on mel bands with a vocoder (`mel_codec.py`).

`encode_frame` and `decode_frame` are what a live session uses: state in, state out, every session computed alone.
`encode` and `decode` take whole recordings through the same frame path, so both give identical bits. `forward` is for
training: batched, differentiable, whole sequences at once, equal up to rounding.

Shapes: B sessions, T samples, F frames, D dimensions, K codebooks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from model.tokenizers.block_causal import BlockCausalConfig
from model.tokenizers.mel_codec import MelCodecConfig, MelEncoder, SoundingDecoder
from model.tokenizers.quantizer import QuantizerConfig, QuantizerKind, build_quantizer, check_codes
from model.tokenizers.streaming import Streaming, StreamState, fold_weight_norm, step_rows
from model.tokenizers.vocoder import LATE_HOPS, VocoderConfig
from model.tokenizers.wave_codec import WaveCodecConfig, WaveDecoder, WaveEncoder
from streams.types import SAMPLES_PER_TICK


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """One of the two kinds of networks is given."""

    quantizer: QuantizerConfig
    wave: WaveCodecConfig | None = None
    mel: MelCodecConfig | None = None

    def __post_init__(self) -> None:
        if (self.wave is None) == (self.mel is None):
            raise ValueError(f"a codec works on samples or on mel bands, one of the two: {self}")

    @property
    def late_samples(self) -> int:
        """How much later decoded sound comes than what was encoded."""
        return LATE_HOPS * self.mel.mel.hop if self.mel is not None else 0


def seed_codec(kind: QuantizerKind = QuantizerKind.RESIDUAL) -> CodecConfig:
    """Samples, full size: 32 to 512 channels, two LSTM layers, 4 codebooks of 65,536."""
    dim = 128 if kind is QuantizerKind.RESIDUAL else 32  # EnCodec's latent width; 4 codes of 8 grid dimensions
    return CodecConfig(QuantizerConfig(kind, num_codebooks=4, codebook_size=65_536, dim=dim), wave=WaveCodecConfig())


def light_codec() -> CodecConfig:
    """The same shape at a quarter of the width, on the grid: a few milliseconds a frame on one core."""
    return CodecConfig(_grid_64_bits(), wave=WaveCodecConfig(channels=8, latent_dim=32))


def tiny_codec(kind: QuantizerKind = QuantizerKind.RESIDUAL) -> CodecConfig:
    """For tests: the same shape of network, a hundredth of the work."""
    quantizer = QuantizerConfig(kind, num_codebooks=4, codebook_size=256, dim=16)
    return CodecConfig(quantizer, wave=WaveCodecConfig(channels=4, latent_dim=8))


def speech_codec() -> CodecConfig:
    """Mel bands: encoder 4.4, decoder 9.8 and vocoder 4 million parameters. Looks back 2 to 4 s a layer."""
    return CodecConfig(
        _grid_64_bits(),
        mel=MelCodecConfig(
            encoder_patches=BlockCausalConfig(320, num_layers=2, num_heads=5, d_ffn=1280, context_frames=8),
            encoder_frames=BlockCausalConfig(320, num_layers=1, num_heads=5, d_ffn=1280, context_frames=16),
            decoder_frames=BlockCausalConfig(384, num_layers=2, num_heads=6, d_ffn=1152, context_frames=16),
            decoder_patches=BlockCausalConfig(384, num_layers=4, num_heads=6, d_ffn=1152, context_frames=8),
            vocoder=VocoderConfig(channels=288, num_blocks=8, d_ffn=768),
        ),
    )


def tiny_speech_codec() -> CodecConfig:
    """For tests: the same shape of network, and a context short enough to slide out of."""
    layers = BlockCausalConfig(16, num_layers=1, num_heads=2, d_ffn=32, context_frames=2)
    return CodecConfig(
        QuantizerConfig(QuantizerKind.GRID, num_codebooks=4, codebook_size=256, dim=16),
        mel=MelCodecConfig(layers, layers, layers, layers, VocoderConfig(16, num_blocks=2, d_ffn=32), conv_channels=16),
    )


CODECS: Mapping[str, Callable[[], CodecConfig]] = {"speech": speech_codec, "light": light_codec, "seed": seed_codec}


def _grid_64_bits() -> QuantizerConfig:
    return QuantizerConfig(QuantizerKind.GRID, num_codebooks=4, codebook_size=65_536, dim=32)


def build_networks(config: CodecConfig) -> tuple[Streaming, Streaming]:
    """Encoder and decoder."""
    dim = config.quantizer.dim
    if config.mel is not None:
        return MelEncoder(config.mel, dim), SoundingDecoder(config.mel, dim)
    assert config.wave is not None, "checked when built"
    return WaveEncoder(config.wave, dim), WaveDecoder(config.wave, dim)


@dataclass(frozen=True, slots=True)
class CodecOutput:
    """One training pass. `pcm_B1T` is not limited to [-1, 1], so that every sample has a gradient."""

    pcm_B1T: torch.Tensor
    codes_BFK: torch.Tensor
    commitment_loss: torch.Tensor


class AudioCodec(nn.Module):
    """The three parts together, and the two ways to run them."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = build_networks(config)
        self.quantizer = build_quantizer(config.quantizer)

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
