"""Drawn scenes: a few shapes of one colour, or a digit, a letter or a word, on a plain ground.

`scene(index, seed)` is a function of its arguments alone: uint8 RGB [side, side, 3] and what is in it. Shapes touch
neither each other nor the edge, so their number is that of the connected areas.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from model.training.data.seeding import random_for

MAX_COUNT = 6
WORDS = (
    *("yes", "no", "hello", "stop", "go", "cat", "dog", "tree", "book", "milk", "apple", "water", "door", "left"),
    *("right", "up", "down", "open", "help", "home", "love", "music", "light", "sun", "moon", "fish", "bird", "car"),
    *("train", "rain"),
)
PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (215, 35, 40),
    "orange": (245, 135, 25),
    "yellow": (245, 215, 45),
    "green": (40, 160, 60),
    "blue": (35, 80, 215),
    "purple": (135, 55, 180),
    "pink": (250, 140, 190),
    "brown": (125, 75, 40),
    "black": (20, 20, 20),
    "white": (245, 245, 245),
    "grey": (130, 130, 130),
}
COLOURS = tuple(PALETTE)
JITTER = 14  # levels by which a drawn colour may miss its name's
MIN_CONTRAST = 110.0  # Euclidean distance in RGB between ground and shapes
SUBPIXEL_BITS = 4
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


class Shape(StrEnum):
    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    STAR = "star"
    HEART = "heart"
    HEXAGON = "hexagon"
    DIAMOND = "diamond"
    CROSS = "cross"
    RING = "ring"
    MOON = "moon"


SHAPES = tuple(Shape)


class SceneKind(StrEnum):
    SHAPES = "shapes"
    DIGIT = "digit"
    LETTER = "letter"
    WORD = "word"


@dataclass(frozen=True, slots=True)
class Scene:
    """`colour` is that of the shapes or the writing; `shape` is None for writing, `text` is empty for shapes."""

    rgb: NDArray[np.uint8]
    kind: SceneKind
    colour: str
    ground: str
    count: int
    shape: Shape | None
    text: str

    def __repr__(self) -> str:
        what = f"{self.count} {self.colour} {self.shape}" if self.shape else f"{self.colour} {self.text!r}"
        return f"Scene({what} on {self.ground})"


def scene(index: int, seed: int, side_px: int = 128) -> Scene:
    """Scene number `index` of the series `seed`: half shapes, half writing."""
    random = random_for("scene", seed, index)
    ground, colour = _colours(random)
    rgb = np.empty((side_px, side_px, 3), np.uint8)
    rgb[:] = _jittered(ground, random)
    ink = _jittered(colour, random)
    if random.random() < 0.5:
        shape = SHAPES[random.integers(len(SHAPES))]
        count = 1 if random.random() < 0.25 else int(random.integers(1, MAX_COUNT + 1))
        _draw_shapes(rgb, shape, count, ink, random)
        return Scene(rgb, SceneKind.SHAPES, colour, ground, count, shape, "")
    kind = (SceneKind.DIGIT, SceneKind.LETTER, SceneKind.WORD)[random.integers(3)]
    text = _text(kind, random)
    _draw_text(rgb, text, ink, random)
    return Scene(rgb, kind, colour, ground, 1, None, text)


def outline(shape: Shape) -> NDArray[np.float64]:
    """The shape's corners [P, 2], y downwards, within the unit circle."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    if shape in (Shape.CIRCLE, Shape.RING):
        return np.stack((np.cos(turn), np.sin(turn)), axis=1)
    if shape is Shape.HEART:  # the curve of mathworld.wolfram.com/HeartCurve.html, eq. 6
        y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
        return np.stack((16 * np.sin(turn) ** 3, -y - 2.5), axis=1) / 18.2
    if shape is Shape.MOON:
        outer = np.linspace(0.25 * np.pi, 1.75 * np.pi, 40)
        inner = np.linspace(1.6 * np.pi, 0.4 * np.pi, 30)
        inside = np.stack((0.42 + 0.78 * np.cos(inner), 0.78 * np.sin(inner)), axis=1)
        return np.concatenate((np.stack((np.cos(outer), np.sin(outer)), axis=1), inside))
    if shape is Shape.STAR:
        return _spokes(10, np.where(np.arange(10) % 2 == 0, 1.0, 0.42))
    if shape is Shape.CROSS:
        a = 0.3
        arm = np.array([(-a, -0.95), (a, -0.95), (a, -a)])
        quarter = np.array([(0, 1), (-1, 0)])
        return np.concatenate([arm @ np.linalg.matrix_power(quarter, turns) for turns in range(4)])
    if shape is Shape.DIAMOND:
        return np.array([(0, -1), (0.68, 0), (0, 1), (-0.68, 0)], np.float64)
    corners = {Shape.SQUARE: 4, Shape.TRIANGLE: 3, Shape.HEXAGON: 6}[shape]
    turned = math.pi / 4 if shape is Shape.SQUARE else 0.0
    return _spokes(corners, np.ones(corners), turned)


def _spokes(num: int, radii: NDArray[np.float64], turned: float = 0.0) -> NDArray[np.float64]:
    """Corners around the centre at equal angles, the first straight up."""
    angles = 2 * np.pi * np.arange(num) / num + turned
    return np.stack((radii * np.sin(angles), -radii * np.cos(angles)), axis=1)


def _colours(random: np.random.Generator) -> tuple[str, str]:
    """Names of ground and ink, far enough apart to be told from each other."""
    ground = "white" if random.random() < 0.4 else COLOURS[random.integers(len(COLOURS))]
    far = [
        name
        for name, level in PALETTE.items()
        if np.linalg.norm(np.subtract(level, PALETTE[ground])) >= MIN_CONTRAST + 2 * JITTER
    ]
    return ground, far[random.integers(len(far))]


def _jittered(colour: str, random: np.random.Generator) -> tuple[int, int, int]:
    level = np.clip(np.array(PALETTE[colour]) + random.integers(-JITTER, JITTER + 1, 3), 0, 255)
    return int(level[0]), int(level[1]), int(level[2])


def _draw_shapes(
    rgb: NDArray[np.uint8], shape: Shape, count: int, ink: tuple[int, int, int], random: np.random.Generator
) -> None:
    """Equal shapes at places drawn until all fit; where they do not, they shrink."""
    side = len(rgb)
    radius = side * (random.uniform(0.2, 0.42) if count == 1 else random.uniform(0.1, 0.19))
    gap = 0.03 * side
    centres: list[NDArray[np.float64]] = []
    tries = 0
    while len(centres) < count:
        place = random.uniform(radius + gap, side - radius - gap, 2)
        if all(np.linalg.norm(place - other) >= 2 * radius + gap for other in centres):
            centres.append(place)
        tries += 1
        if tries > 60:
            centres, tries, radius = [], 0, 0.9 * radius
    lean = random.uniform(-0.3, 0.3)
    turn = np.array([(math.cos(lean), math.sin(lean)), (-math.sin(lean), math.cos(lean))])
    corners = outline(shape) @ turn
    for centre in centres:
        areas = [corners] if shape is not Shape.RING else [corners, 0.6 * corners]  # even-odd: the inner one is a hole
        points = [np.round((area * radius + centre) * 2**SUBPIXEL_BITS).astype(np.int32) for area in areas]
        cv2.fillPoly(rgb, points, ink, cv2.LINE_AA, SUBPIXEL_BITS)


def _text(kind: SceneKind, random: np.random.Generator) -> str:
    if kind is SceneKind.DIGIT:
        return str(random.integers(10))
    if kind is SceneKind.LETTER:
        return chr(ord("A") + int(random.integers(26)))
    word = WORDS[random.integers(len(WORDS))]
    return word.upper() if random.random() < 0.5 else word


def _draw_text(rgb: NDArray[np.uint8], text: str, ink: tuple[int, int, int], random: np.random.Generator) -> None:
    """The writing as large as a random share of the width or height allows, wholly inside."""
    side = len(rgb)
    font = FONTS[random.integers(len(FONTS))]
    unit = 2.0
    (width, height), below = cv2.getTextSize(text, font, unit, 1)
    share = random.uniform(0.75, 0.94) if len(text) > 1 else random.uniform(0.4, 0.85)
    scale = unit * share * side / max(width, height + below)
    thickness = max(1, round(scale * random.uniform(1.2, 4.0)))
    (width, height), below = cv2.getTextSize(text, font, scale, thickness)
    left = random.uniform(0.02 * side, max(0.02 * side, 0.98 * side - width))
    base = random.uniform(height + 0.02 * side, max(height + 0.02 * side, 0.98 * side - below))
    cv2.putText(rgb, text, (round(left), round(base)), font, scale, ink, thickness, cv2.LINE_AA)
