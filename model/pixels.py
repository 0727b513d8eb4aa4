"""Pictures of any size to what the networks look at, and back.

`to_pixels` takes uint8 RGB [H, W, 3] and gives float32 [3, side, side] in [-1, 1]; `to_rgb` is the way back. The result
depends on that picture alone.
"""

from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F


class Fit(StrEnum):
    """What becomes of a picture that is not square."""

    CROP = "crop"  # the middle square; fills the field, loses the edges
    PAD = "pad"  # the whole picture between mid-grey bars; loses nothing


def to_pixels(rgb: NDArray[np.uint8], side_px: int, fit: Fit) -> torch.Tensor:
    """[H, W, 3] uint8 to [3, side_px, side_px] float32 in [-1, 1]."""
    if rgb.dtype != np.uint8:
        raise ValueError(f"a picture holds uint8 values, got {rgb.dtype}")
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"a picture is RGB [H, W, 3], got shape {list(rgb.shape)}")
    if 0 in rgb.shape:
        raise ValueError(f"a picture has at least one pixel, got shape {list(rgb.shape)}")
    if side_px < 1:
        raise ValueError(f"side_px must be positive, got {side_px}")
    height, width = rgb.shape[:2]
    if fit is Fit.CROP:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _resize(rgb[top : top + side, left : left + side], side_px, side_px)
    longer = max(height, width)
    pixels_CHW = _resize(rgb, max(1, round(height * side_px / longer)), max(1, round(width * side_px / longer)))
    padded_CHW = torch.zeros(3, side_px, side_px)  # zero is mid-grey
    height, width = pixels_CHW.shape[1:]
    top, left = (side_px - height) // 2, (side_px - width) // 2
    padded_CHW[:, top : top + height, left : left + width] = pixels_CHW
    return padded_CHW


def to_rgb(pixels_CHW: torch.Tensor) -> NDArray[np.uint8]:
    """[3, H, W] in [-1, 1] (clamped) to uint8 [H, W, 3]."""
    if pixels_CHW.ndim != 3 or pixels_CHW.shape[0] != 3:
        raise ValueError(f"pixels are [3, H, W], got {list(pixels_CHW.shape)}")
    levels_CHW = ((pixels_CHW.detach().float().clamp(-1.0, 1.0) + 1.0) * 127.5).round()
    return levels_CHW.permute(1, 2, 0).to(torch.uint8).cpu().contiguous().numpy()


def _resize(rgb: NDArray[np.uint8], height: int, width: int) -> torch.Tensor:
    owned = np.array(rgb, order="C")  # torch refuses mirrored views and warns about read-only ones
    pixels_CHW = torch.from_numpy(owned).permute(2, 0, 1).float()
    if pixels_CHW.shape[1:] != (height, width):
        pixels_CHW = F.interpolate(pixels_CHW[None], (height, width), mode="bicubic", antialias=True)[0]
    return pixels_CHW.clamp(0.0, 255.0) / 127.5 - 1.0  # bicubic overshoots at edges
