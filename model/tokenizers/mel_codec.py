"""The networks of a codec that works on mel bands: sound to one vector a frame, and a vector to bands and sound.

Encoder: bands, causal convolution, patches of moments, transformer layers inside and between frames, the patches of a
frame stacked, layers at the rate of frames, one vector. Decoder: the mirror image, then a vocoder. What the vector is
rounded to is the quantizer's matter.

Shapes: B sessions, T samples, F frames, N moments, M bands, P patches, D dimensions of the vector, W width, C channels.
"""

from dataclasses import dataclass, field

import torch
from torch import nn

from model.tokenizers.block_causal import BlockCausal, BlockCausalConfig
from model.tokenizers.mel import MelConfig, ScaledMel
from model.tokenizers.streaming import CausalConv1d, Chain, Streaming, StreamState
from model.tokenizers.vocoder import Vocoder, VocoderConfig


@dataclass(frozen=True, slots=True)
class MelCodecConfig:
    """`*_patches` layers run at several tokens a frame, `*_frames` layers at one."""

    encoder_patches: BlockCausalConfig
    encoder_frames: BlockCausalConfig
    decoder_frames: BlockCausalConfig
    decoder_patches: BlockCausalConfig
    vocoder: VocoderConfig
    mel: MelConfig = field(default_factory=MelConfig)
    patch_moments: int = 6
    conv_channels: int = 128
    conv_kernel: int = 5

    def __post_init__(self) -> None:
        if min(self.patch_moments, self.conv_channels, self.conv_kernel) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        if self.mel.moments_per_frame % self.patch_moments:
            raise ValueError(f"patches of {self.patch_moments} do not divide {self.mel.moments_per_frame} moments")

    @property
    def patches_per_frame(self) -> int:
        return self.mel.moments_per_frame // self.patch_moments


class MelEncoder(Streaming):
    """Samples [B, 1, T] to one vector a frame [B, F, D]."""

    def __init__(self, config: MelCodecConfig, dim: int) -> None:
        super().__init__()
        patches, frames = config.encoder_patches, config.encoder_frames
        self.patch_moments, self.patches_per_frame = config.patch_moments, config.patches_per_frame
        self.mel = ScaledMel(config.mel)
        self.conv = CausalConv1d(config.mel.bands, config.conv_channels, config.conv_kernel, weight_normed=False)
        self.to_patches = nn.Linear(config.patch_moments * config.conv_channels, patches.width)
        self.patches = BlockCausal(patches, config.patches_per_frame)
        self.to_frames = nn.Linear(config.patches_per_frame * patches.width, frames.width)
        self.frames = BlockCausal(frames, 1)
        self.norm = nn.LayerNorm(frames.width)
        self.to_vector = nn.Linear(frames.width, dim)

    def initial_state(self, batch: int) -> StreamState:
        return tuple(part.initial_state(batch) for part in (self.mel, self.conv, self.patches, self.frames))

    def step(self, pcm_B1T: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        mel_BNM, mel_state = self.mel.step(pcm_B1T, state[0])
        z_BFD, rest = self.step_mel(mel_BNM, state[1:])
        return z_BFD, (mel_state, *rest)

    def step_mel(self, mel_BNM: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        """From bands on; the state without that of the bands."""
        conv_state, patches_state, frames_state = state
        x_BCN, conv_state = self.conv.step(mel_BNM.transpose(1, 2), conv_state)
        x_BNC = nn.functional.gelu(x_BCN.transpose(1, 2))
        x_BPW = self.to_patches(x_BNC.unflatten(1, (-1, self.patch_moments)).flatten(2))
        x_BPW, patches_state = self.patches.step(x_BPW, patches_state)
        x_BFW = self.to_frames(x_BPW.unflatten(1, (-1, self.patches_per_frame)).flatten(2))
        x_BFW, frames_state = self.frames.step(x_BFW, frames_state)
        return self.to_vector(self.norm(x_BFW)), (conv_state, patches_state, frames_state)

    def forward_mel(self, mel_BNM: torch.Tensor) -> torch.Tensor:
        """Whole sequences of bands [B, F x N, M] to vectors [B, F, D], for training."""
        return self.step_mel(mel_BNM, self.initial_state(mel_BNM.shape[0])[1:])[0]


class MelDecoder(Streaming):
    """One vector a frame [B, F, D] to bands [B, F x N, M]."""

    def __init__(self, config: MelCodecConfig, dim: int) -> None:
        super().__init__()
        frames, patches = config.decoder_frames, config.decoder_patches
        self.patch_moments, self.patches_per_frame = config.patch_moments, config.patches_per_frame
        self.from_vector = nn.Linear(dim, frames.width)
        self.frames = BlockCausal(frames, 1)
        self.to_patches = nn.Linear(frames.width, config.patches_per_frame * patches.width)
        self.patches = BlockCausal(patches, config.patches_per_frame)
        self.norm = nn.LayerNorm(patches.width)
        self.to_mel = nn.Linear(patches.width, config.patch_moments * config.mel.bands)
        self.refine = Chain(  # across the borders of patches
            CausalConv1d(config.mel.bands, config.conv_channels, config.conv_kernel, weight_normed=False),
            nn.GELU(),
            CausalConv1d(config.conv_channels, config.mel.bands, config.conv_kernel, weight_normed=False),
        )

    def initial_state(self, batch: int) -> StreamState:
        return tuple(part.initial_state(batch) for part in (self.frames, self.patches, self.refine))

    def step(self, z_BFD: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        features_BPW, deep_state = self.step_features(z_BFD, state[:2])
        mel_BNM, refine_state = self.step_bands(features_BPW, state[2])
        return mel_BNM, (*deep_state, refine_state)

    def step_features(self, z_BFD: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        """Vectors to features of patches [B, F x P, W]: all but the last layers."""
        frames_state, patches_state = state
        x_BFW, frames_state = self.frames.step(self.from_vector(z_BFD), frames_state)
        x_BPW = self.to_patches(x_BFW).unflatten(-1, (self.patches_per_frame, -1)).flatten(1, 2)
        x_BPW, patches_state = self.patches.step(x_BPW, patches_state)
        return self.norm(x_BPW), (frames_state, patches_state)

    def step_bands(self, features_BPW: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        mel_BNM = self.to_mel(features_BPW).unflatten(-1, (self.patch_moments, -1)).flatten(1, 2)
        change_BMN, state = self.refine.step(mel_BNM.transpose(1, 2), state)
        return mel_BNM + change_BMN.transpose(1, 2), state

    def forward_features(self, z_BFD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Whole sequences of vectors to bands, and the features that they were made of, for training."""
        state = self.initial_state(z_BFD.shape[0])
        features_BPW, _ = self.step_features(z_BFD, state[:2])
        return self.step_bands(features_BPW, state[2])[0], features_BPW


class SoundingDecoder(Streaming):
    """One vector a frame [B, F, D] to samples [B, 1, T]: bands, then sound."""

    def __init__(self, config: MelCodecConfig, dim: int) -> None:
        super().__init__()
        self.bands = MelDecoder(config, dim)
        self.vocoder = Vocoder(config.vocoder, config.mel)

    def initial_state(self, batch: int) -> StreamState:
        return self.bands.initial_state(batch), self.vocoder.initial_state(batch)

    def step(self, z_BFD: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        mel_BNM, bands_state = self.bands.step(z_BFD, state[0])
        pcm_B1T, vocoder_state = self.vocoder.step(mel_BNM, state[1])
        return pcm_B1T, (bands_state, vocoder_state)
