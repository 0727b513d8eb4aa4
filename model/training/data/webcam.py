"""What a webcam would show of a card that somebody holds up: `filmed(card, side_px, random)`.

The card lies anywhere in a room of blurred clutter, turned, tilted, lit from one side, out of focus, in noise. All
draws come from `random`; the card is uint8 RGB of any size, and so is the frame, [side, side, 3].
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

CARD_SHARE = (0.62, 1.1)  # of the frame's side; beyond 1 the card's edges may be cut off
LEAN_DEGREES = 14.0  # standard deviation
TILT = 0.09  # how far a corner may be off, of the card's side
SKIN = ((255, 219, 172), (224, 172, 105), (141, 85, 36), (80, 50, 30))


def filmed(card: NDArray[np.uint8], side_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """One frame with the card in it."""
    corners = _card_corners(side_px, random)
    frame = room(side_px, random)
    if random.random() < 0.5:
        _draw_hand(frame, corners, random)
    height, width = card.shape[:2]
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - 0.5
    homography = cv2.getPerspectiveTransform(flat, corners)
    reduced = max(height, width) / np.linalg.norm(corners[1] - corners[0])
    if reduced > 1.5:  # the warp samples points: what is finer than a pixel of the frame must go first
        card = cv2.blur(card, (2, 2))
    size = (side_px, side_px)
    warped = cv2.warpPerspective(card, homography, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = np.zeros((side_px, side_px), np.uint8)
    cv2.fillConvexPoly(cover, np.round(corners * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    cover_HW1 = cover[..., None].astype(np.float32) * np.float32(1 / 255)
    return _camera(frame + cover_HW1 * (warped - frame), random)


def empty_room(side_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """One frame without a card."""
    return _camera(room(side_px, random), random)


def room(side_px: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Clutter: soft light, and a few blocks and blobs out of focus. Float levels [side, side, 3]."""
    vivid = random.uniform(0.1, 1.0)  # of its colours; most rooms are dull
    coarse = random.uniform(20, 235) + vivid * random.normal(0, 40, 3) + random.normal(0, 30 * vivid, (4, 4, 3))
    levels = cv2.resize(coarse.astype(np.float32), (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    for _ in range(random.integers(0, 7)):
        colour = tuple(random.uniform(0, 255) * (1 - vivid) + vivid * random.uniform(0, 255, 3))
        x, y, width, height = (random.uniform(-0.2, 1.0, 4) * side_px).astype(int)
        if random.random() < 0.6:
            cv2.rectangle(levels, (x, y), (x + abs(width), y + abs(height)), colour, -1)
        else:
            cv2.circle(levels, (x, y), max(2, abs(width) // 2), colour, -1)
    return cv2.GaussianBlur(levels, (0, 0), random.uniform(0.5, 3.0))


def _card_corners(side_px: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Where the card's corners [4, 2] lie in the frame, clockwise from top left."""
    side = random.uniform(*CARD_SHARE) * side_px
    lean = math.radians(random.normal(0.0, LEAN_DEGREES))
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2
    turn = np.array([(math.cos(lean), math.sin(lean)), (-math.sin(lean), math.cos(lean))])
    slack = max(0.0, side_px - side) / 2 + 0.04 * side_px
    middle = side_px / 2 + random.uniform(-slack, slack, 2)
    tilted = square + random.uniform(-TILT, TILT, (4, 2))
    return (side * (tilted @ turn) + middle).astype(np.float32)


def _draw_hand(frame: NDArray[np.float32], corners: NDArray[np.float32], random: np.random.Generator) -> None:
    """Fingers behind a point of the card's lower edge."""
    at = corners[3] + random.uniform() * (corners[2] - corners[3])
    axes = random.uniform(0.08, 0.25, 2) * len(frame)
    skin = SKIN[random.integers(len(SKIN))]
    cv2.ellipse(frame, tuple(np.int32(at)), tuple(np.int32(axes)), random.uniform(0, 180), 0, 360, skin, -1)


def _camera(levels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.uint8]:
    """Light from a side, white balance, focus or shake, noise, and often a coarse JPEG."""
    side = len(levels)
    across = np.linspace(-1, 1, side, dtype=np.float32)
    slope_x, slope_y = random.uniform(-0.2, 0.2, 2).astype(np.float32)
    light = np.float32(random.uniform(0.6, 1.2)) * (1 + slope_x * across[None, :] + slope_y * across[:, None])
    levels = levels * light[..., None] * random.uniform(0.9, 1.1, 3).astype(np.float32)
    kind = random.random()
    if kind < 0.5:
        levels = cv2.GaussianBlur(levels, (0, 0), random.uniform(0.3, 0.9))
    elif kind < 0.65:
        length = int(random.integers(2, 5))
        levels = cv2.blur(levels, (length, 1) if random.random() < 0.5 else (1, length))
    noise = random.standard_normal(levels.shape, dtype=np.float32)
    frame = np.clip(levels + np.float32(random.uniform(0, 9)) * noise, 0, 255).astype(np.uint8)
    if random.random() < 0.4:
        jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(35, 95))])[1]
        frame = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return frame
