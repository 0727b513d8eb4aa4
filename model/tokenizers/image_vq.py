"""Image tokenizer: a square picture to a grid of ids and back, by a convolutional VQ-VAE (arXiv 1711.00937).

`encode(pixels_BCHW) -> ids_BHW` and `decode(ids_BHW) -> pixels_BCHW` compute every picture alone, so its ids never
depend on its neighbours; `forward` trains in batches. Pixels are in [-1, 1] (`model/pixels.py` makes them so). Ids are
drawn through the codebook of this module, never through an embedding table of the decoder.

Shapes: B pictures, C channels, H height, W width, D code width, N grid positions.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from model.tokenizers.quantizer import QuantizerConfig, QuantizerKind, ResidualVQ

NORM_GROUPS = 8


@dataclass(frozen=True, slots=True)
class ImageVQConfig:
    """Stage i divides the side by `strides[i]` and works at `widths[i]` channels with `blocks` residual blocks."""

    side_px: int
    strides: tuple[int, ...]
    widths: tuple[int, ...]
    blocks: int
    code_dim: int
    codebook_size: int

    def __post_init__(self) -> None:
        if not self.strides or len(self.strides) != len(self.widths):
            raise ValueError(f"one width for each stride: strides {self.strides}, widths {self.widths}")
        if min(self.side_px, self.blocks, self.code_dim, self.codebook_size, *self.strides) < 1:
            raise ValueError(f"sizes must be positive: {self}")
        if any(width < 1 or width % NORM_GROUPS for width in self.widths):
            raise ValueError(f"widths must be multiples of {NORM_GROUPS}, got {self.widths}")
        if self.side_px % math.prod(self.strides):
            raise ValueError(f"strides {self.strides} do not divide a side of {self.side_px} px")

    @property
    def grid(self) -> int:
        """Ids along one side."""
        return self.side_px // math.prod(self.strides)

    @property
    def num_ids(self) -> int:
        return self.grid**2


def small_image_vq() -> ImageVQConfig:
    """128 px in 256 ids of 4,096. At 16 decode steps a tick that is a picture in 4 s."""
    return ImageVQConfig(128, strides=(2, 2, 2), widths=(64, 128, 256), blocks=2, code_dim=32, codebook_size=4096)


def light_image_vq() -> ImageVQConfig:
    """The default: 96 px in 144 ids of 4,096; at 16 decode steps a tick that is a picture in 2.25 s.

    The first stride of 4 leaves little work at full size, so it trains on one core in half an hour. Codes of few
    dimensions are all used (arXiv 2110.04627, section 3.2).
    """
    return ImageVQConfig(96, strides=(4, 2), widths=(48, 128), blocks=2, code_dim=8, codebook_size=4096)


def seed_image_vq() -> ImageVQConfig:
    """768 px in 128 x 128 ids of 65,536: a total stride of 6, because three halvings would leave 96 x 96.

    The stride of 3 comes first, where pixels are most.
    """
    return ImageVQConfig(768, strides=(3, 2), widths=(256, 256), blocks=2, code_dim=32, codebook_size=65_536)


def omniweave_image_vq() -> ImageVQConfig:
    """256 px in 16 x 16 ids of 16,384, code width 256, in the range of 200 to 400 million parameters."""
    return ImageVQConfig(
        256, strides=(2, 2, 2, 2), widths=(128, 256, 512, 1024), blocks=4, code_dim=256, codebook_size=16_384
    )


def tiny_image_vq() -> ImageVQConfig:
    """For tests."""
    return ImageVQConfig(16, strides=(2, 2), widths=(8, 16), blocks=1, code_dim=4, codebook_size=64)


@dataclass(frozen=True, slots=True)
class ImageVQOutput:
    """One training pass. Pixels are not limited to [-1, 1]."""

    pixels_BCHW: torch.Tensor
    ids_BHW: torch.Tensor
    commitment_loss: torch.Tensor


class ImageVQ(nn.Module):
    def __init__(self, config: ImageVQConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.quantizer = ResidualVQ(
            QuantizerConfig(QuantizerKind.RESIDUAL, 1, codebook_size=config.codebook_size, dim=config.code_dim)
        )
        self.decoder = _decoder(config)

    @torch.no_grad()
    def encode(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        """[B, 3, side, side] to ids [B, grid, grid] in [0, codebook_size)."""
        self._check_pixels(pixels_BCHW)
        return torch.cat([self._encode_one(pixels_CHW.clone()[None]) for pixels_CHW in pixels_BCHW])

    @torch.no_grad()
    def decode(self, ids_BHW: torch.Tensor) -> torch.Tensor:
        """Ids [B, grid, grid] to pixels [B, 3, side, side] in [-1, 1]."""
        if ids_BHW.shape[1:] != (self.config.grid, self.config.grid):
            raise ValueError(f"a grid is [B, {self.config.grid}, {self.config.grid}], got {list(ids_BHW.shape)}")
        return torch.cat([self._decode_one(ids_HW[None]) for ids_HW in ids_BHW])

    def forward(self, pixels_BCHW: torch.Tensor) -> ImageVQOutput:
        """There and back, with gradients."""
        self._check_pixels(pixels_BCHW)
        z_BHWD = self.encoder(pixels_BCHW).permute(0, 2, 3, 1)
        with torch.autocast(z_BHWD.device.type, enabled=False):  # neighbours in bfloat16 are not the nearest ones
            quantized = self.quantizer(z_BHWD.flatten(0, 2).float())
        pixels_BCHW = self.decoder(quantized.z_BD.view(z_BHWD.shape).permute(0, 3, 1, 2))
        return ImageVQOutput(pixels_BCHW, quantized.codes_BK.view(z_BHWD.shape[:3]), quantized.commitment_loss)

    def _encode_one(self, pixels_1CHW: torch.Tensor) -> torch.Tensor:
        z_ND = self.encoder(pixels_1CHW)[0].flatten(1).T.contiguous()
        return self.quantizer.encode(z_ND).view(1, self.config.grid, self.config.grid)

    def _decode_one(self, ids_1HW: torch.Tensor) -> torch.Tensor:
        z_ND = self.quantizer.decode(ids_1HW.reshape(-1, 1))
        z_1DHW = z_ND.T.reshape(1, self.config.code_dim, self.config.grid, self.config.grid)
        return self.decoder(z_1DHW).clamp(-1.0, 1.0)

    def _check_pixels(self, pixels_BCHW: torch.Tensor) -> None:
        side = self.config.side_px
        if pixels_BCHW.ndim != 4 or pixels_BCHW.shape[1:] != (3, side, side):
            raise ValueError(f"pictures are [B, 3, {side}, {side}], got {list(pixels_BCHW.shape)}")


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a skip connection, normalised and activated before each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(NORM_GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return x_BCHW + self.body(x_BCHW)


class Upsample(nn.Module):
    """Repeat pixels, then convolve: no checkerboard, as from transposed convolutions (distill.pub, 2016)."""

    def __init__(self, in_channels: int, out_channels: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.conv(F.interpolate(x_BCHW, scale_factor=self.scale, mode="nearest"))


def _encoder(config: ImageVQConfig) -> nn.Sequential:
    parts: list[nn.Module] = []
    width = 3
    for stride, next_width in zip(config.strides, config.widths, strict=True):
        parts.append(nn.Conv2d(width, next_width, stride + 2, stride, padding=1))  # divides the side by the stride
        parts += [ResidualBlock(next_width) for _ in range(config.blocks)]
        width = next_width
    return nn.Sequential(*parts, nn.GroupNorm(NORM_GROUPS, width), nn.SiLU(), nn.Conv2d(width, config.code_dim, 1))


def _decoder(config: ImageVQConfig) -> nn.Sequential:
    """The encoder's way back, but all pixels of the outer stride are made at once: full size is where work is most."""
    width, stride = config.widths[-1], config.strides[0]
    parts: list[nn.Module] = [nn.Conv2d(config.code_dim, width, 3, padding=1)]
    for inner_stride, next_width in zip(reversed(config.strides[1:]), reversed(config.widths[:-1]), strict=True):
        parts += [ResidualBlock(width) for _ in range(config.blocks)]
        parts.append(Upsample(width, next_width, inner_stride))
        width = next_width
    parts += [ResidualBlock(width) for _ in range(config.blocks)]
    parts += [nn.GroupNorm(NORM_GROUPS, width), nn.SiLU(), nn.Conv2d(width, 3 * stride**2, 3, padding=1)]
    return nn.Sequential(*parts, nn.PixelShuffle(stride))
