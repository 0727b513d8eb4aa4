"""Cut-out pictures on a ground: RGBA of any size to square RGB.

`shown` is how a picture looks where nothing is left to chance: whole, on white. `scattered` varies place, size, lean,
hue, side and ground, as an image tokenizer should not care.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

WHITE = (255.0, 255.0, 255.0)


def shown(rgba: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """The whole picture on white, uint8 [side, side, 3]. A picture that is not square is stretched."""
    premultiplied = cv2.resize(_premultiplied(rgba), (side_px, side_px), interpolation=cv2.INTER_AREA)
    return _on_ground(premultiplied, WHITE)


def scattered(rgba: NDArray[np.uint8], side_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """The picture somewhere in the field; three in ten stand where `shown` puts them."""
    height, width = rgba.shape[:2]
    if random.random() < 0.35:
        rgba = _other_hue(rgba, int(random.integers(180)))
    scale = side_px / max(height, width)
    lean, shift = 0.0, np.zeros(2)
    if random.random() > 0.3:
        scale *= random.uniform(0.7, 1.35)
        lean = random.normal(0.0, 0.15) if random.random() < 0.5 else 0.0
        shift = random.uniform(-0.12, 0.12, 2) * side_px
    turn = scale * np.array([(math.cos(lean), -math.sin(lean)), (math.sin(lean), math.cos(lean))])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    to = (side_px - 1) / 2 + shift - turn @ middle
    placed = cv2.warpAffine(
        _premultiplied(rgba), np.column_stack((turn, to)), (side_px, side_px), flags=cv2.INTER_LINEAR
    )
    ground = WHITE if random.random() < 0.7 else tuple(random.uniform(0.0, 255.0, 3))
    rgb = _on_ground(placed, ground)
    return rgb[:, ::-1] if random.random() < 0.5 else rgb


def _premultiplied(rgba: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Colours times opacity, so that what lies under transparent pixels never shows at edges."""
    levels = rgba.astype(np.float32)
    levels[..., :3] *= levels[..., 3:] * np.float32(1 / 255)
    return levels


def _on_ground(premultiplied: NDArray[np.float32], ground: tuple[float, ...]) -> NDArray[np.uint8]:
    see_through = 1.0 - premultiplied[..., 3:] * np.float32(1 / 255)
    rgb = premultiplied[..., :3] + see_through * np.array(ground, np.float32)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _other_hue(rgba: NDArray[np.uint8], steps: int) -> NDArray[np.uint8]:
    """All hues turned by `steps` of OpenCV's 180."""
    hsv = cv2.cvtColor(np.ascontiguousarray(rgba[..., :3]), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + steps) % 180
    return np.concatenate((cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), rgba[..., 3:]), axis=-1)
