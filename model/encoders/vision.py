"""Vision encoder (ViT): a picture to a few feature vectors of the decoder's width.

Patches, a transformer that sees all of them, learned pooling to `num_positions`, one projection. `encode` is what runs
live: every picture alone, so its features never depend on its neighbours. `forward` trains in batches.

Plan and sizes after ViT (arXiv 2010.11929, table 1). A small encoder reads its patches from a convolutional stem: it
then learns in a fraction of the steps (arXiv 2106.14881).

Shapes: B pictures, T patches, N positions handed to the decoder, D its width.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from model.encoders.transformer import AttentionPool, EncoderBlock, LearnedPositions
from model.tokenizers.image_vq import NORM_GROUPS, ResidualBlock


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """`num_positions` is what one frame costs in the decoder's sequence; `d_out` is the decoder's width.

    The stem divides the side by `stem_strides[i]` at `stem_widths[i]` channels, with two residual blocks at each;
    patches of `patch_px` are cut from what it leaves. Without a stem they are cut from the pixels.
    """

    side_px: int
    patch_px: int
    width: int
    num_layers: int
    num_heads: int
    num_positions: int
    d_out: int
    stem_strides: tuple[int, ...] = ()
    stem_widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.side_px, self.patch_px, self.width, self.num_layers, self.num_heads) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        if min(self.num_positions, self.d_out) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        if self.side_px % self.patch_px:
            raise ValueError(f"patches of {self.patch_px} px do not tile a side of {self.side_px} px")
        if self.width % self.num_heads:
            raise ValueError(f"{self.num_heads} heads do not divide a width of {self.width}")
        if len(self.stem_strides) != len(self.stem_widths) or any(width % NORM_GROUPS for width in self.stem_widths):
            raise ValueError(
                f"the stem needs a width for each stride, in multiples of {NORM_GROUPS}: "
                f"strides {self.stem_strides}, widths {self.stem_widths}"
            )
        if self.patch_px % math.prod(self.stem_strides):
            raise ValueError(f"stem strides {self.stem_strides} do not divide patches of {self.patch_px} px")

    @property
    def num_patches(self) -> int:
        return (self.side_px // self.patch_px) ** 2


def seed_vit(d_out: int) -> VisionConfig:
    """ViT-L/14 at 224 px: about 300 million parameters."""
    return VisionConfig(224, 14, width=1024, num_layers=24, num_heads=16, num_positions=16, d_out=d_out)


def small_vit(d_out: int) -> VisionConfig:
    """Four frames a second beside the decoder on a CPU: 100 patches, 6 million parameters, 4 positions a frame."""
    return VisionConfig(160, 16, width=256, num_layers=8, num_heads=4, num_positions=4, d_out=d_out)


def light_vit(d_out: int) -> VisionConfig:
    """The default: 36 patches from a convolutional stem, two million parameters, 4 positions a frame."""
    return VisionConfig(
        96,
        16,
        width=160,
        num_layers=3,
        num_heads=4,
        num_positions=4,
        d_out=d_out,
        stem_strides=(4, 2),
        stem_widths=(48, 96),
    )


def tiny_vit(d_out: int) -> VisionConfig:
    """For tests."""
    return VisionConfig(16, 4, width=16, num_layers=2, num_heads=2, num_positions=2, d_out=d_out)


class VisionEncoder(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = _stem(config)
        patch = config.patch_px // math.prod(config.stem_strides)
        self.patch = nn.Conv2d((3, *config.stem_widths)[-1], config.width, patch, patch)
        self.positions = LearnedPositions(config.num_patches, config.width)
        self.blocks = nn.ModuleList(
            EncoderBlock(config.width, config.num_heads, 4 * config.width) for _ in range(config.num_layers)
        )
        self.pool = AttentionPool(config.width, config.num_heads, config.num_positions)
        self.norm = nn.LayerNorm(config.width)
        self.projection = nn.Linear(config.width, config.d_out, bias=False)

    @torch.no_grad()
    def encode(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        """[B, 3, side, side] in [-1, 1] to features [B, N, D], each picture alone."""
        return torch.cat([self.forward(pixels_CHW.clone()[None]) for pixels_CHW in pixels_BCHW])

    def forward(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        side = self.config.side_px
        if pixels_BCHW.ndim != 4 or pixels_BCHW.shape[1:] != (3, side, side):
            raise ValueError(f"pictures are [B, 3, {side}, {side}], got {list(pixels_BCHW.shape)}")
        x_BTD = self.positions(self.patch(self.stem(pixels_BCHW)).flatten(2).transpose(1, 2))
        for block in self.blocks:
            x_BTD = block.finish(x_BTD, F.scaled_dot_product_attention(*block.project(x_BTD)))
        return self.projection(self.norm(self.pool(x_BTD)))


def _stem(config: VisionConfig) -> nn.Sequential:
    """[B, 3, side, side] to [B, last width, side / strides, side / strides]; nothing at all without strides."""
    parts: list[nn.Module] = []
    width = 3
    for stride, next_width in zip(config.stem_strides, config.stem_widths, strict=True):
        parts += [nn.Conv2d(width, next_width, stride + 2, stride, padding=1)]
        parts += [ResidualBlock(next_width), ResidualBlock(next_width)]
        width = next_width
    return nn.Sequential(*parts)
