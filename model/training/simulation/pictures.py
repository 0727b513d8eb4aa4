"""Pictures that a user shows and that the agent draws: shapes, colours, counts, digits, words, things.

`draw_picture` makes up a description, `paint` the pixels of one, `describe` the words for it. A picture is a
function of its description; its seed moves, turns and scales what is shown. `by_hand` is how the agent draws it.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from model.training.data.scenes import PALETTE, SHAPES, SUBPIXEL_BITS, WORDS, Shape, outline
from model.training.data.seeding import random_for
from model.training.data.text.numerals import cardinal
from model.training.data.webcam import filmed
from model.training.simulation.emoji import EmojiBook
from model.training.simulation.script import Picture, PictureKind
from streams.types import Pixels

COLORS = PALETTE
COUNTED = (Shape.CIRCLE, Shape.SQUARE, Shape.TRIANGLE, Shape.STAR, Shape.HEART)
THINGS = ("smiley", "sad face", "house", "tree", "flower", "sun", "cloud", "fish", "car", "cup", "ball", "key")
COLORED = ("car", "cup", "ball")  # things that come in any color
SIDE_PX = 128
_MAX_COUNT = 6
_HAND_SEED = 0  # the agent's own place, size and background

Points: TypeAlias = NDArray[np.float64]
Color: TypeAlias = tuple[int, int, int]
Random: TypeAlias = np.random.Generator


def draw_picture(random: Random, kind: PictureKind, emoji: Sequence[str] = ()) -> Picture:
    """A picture of this kind to show or to ask for; `emoji` are the names to choose from for that kind."""
    colors = list(COLORS)
    color, seed = colors[int(random.integers(len(colors)))], int(random.integers(2**31))
    match kind:
        case PictureKind.COLOR:
            return Picture(kind, color, color, seed=seed)
        case PictureKind.COUNT:
            name = COUNTED[int(random.integers(len(COUNTED)))]
            return Picture(kind, name, color, int(random.integers(2, _MAX_COUNT + 1)), seed)
        case PictureKind.DIGIT:
            return Picture(kind, str(random.integers(10)), color, seed=seed)
        case PictureKind.SHAPE:
            return Picture(kind, SHAPES[int(random.integers(len(SHAPES)))], color, seed=seed)
        case PictureKind.WORD:
            return Picture(kind, WORDS[int(random.integers(len(WORDS)))], color, seed=seed)
        case PictureKind.EMOJI:
            return Picture(kind, emoji[int(random.integers(len(emoji)))], "", seed=seed)
        case PictureKind.THING:
            return Picture(kind, THINGS[int(random.integers(len(THINGS)))], color, seed=seed)


def describe(picture: Picture) -> str:
    """What one would say it is: "a red circle", "three blue stars", "the number seven", "the word apple"."""
    match picture.kind:
        case PictureKind.COLOR:
            return f"something {picture.name}"
        case PictureKind.COUNT:
            return f"{cardinal(picture.count)} {picture.color} {plural(picture.name)}"
        case PictureKind.DIGIT:
            return f"the number {cardinal(int(picture.name))}"
        case PictureKind.WORD:
            return f"the word {picture.name}"
        case PictureKind.SHAPE:
            return with_article(f"{picture.color} {picture.name}")
        case PictureKind.EMOJI:
            return picture.name if picture.name.endswith("s") else with_article(picture.name)
        case PictureKind.THING:
            return with_article(f"{picture.color} {picture.name}" if picture.name in COLORED else picture.name)


def in_front_of_camera(picture: Picture, side_px: int, random: Random, book: EmojiBook | None = None) -> Pixels:
    """One frame of a camera that somebody holds the picture to."""
    return filmed(paint(picture, side_px, book), side_px, random)


def plural(name: str) -> str:
    return name + ("es" if name.endswith("s") else "s")


def with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def paint(picture: Picture, side_px: int = SIDE_PX, book: EmojiBook | None = None) -> Pixels:
    """Its pixels: uint8 RGB [side, side, 3]. Raises ValueError for an emoji without a book."""
    if picture.kind is PictureKind.EMOJI:
        if book is None:
            raise ValueError(f"the emoji {picture.name!r} needs the pictures it was named from")
        return book.paint(picture.name, picture.seed, side_px)
    random = random_for("paint", picture.seed)
    return _lit(_painted(picture, side_px, random), random)


def by_hand(picture: Picture, side_px: int = SIDE_PX, book: EmojiBook | None = None) -> Pixels:
    """The agent's drawing of it: the same words always give the same picture, flat, without a camera's noise."""
    picture = msgspec.structs.replace(picture, seed=_HAND_SEED)
    if picture.kind is PictureKind.EMOJI:
        return paint(picture, side_px, book)
    return _painted(picture, side_px, random_for("paint", _HAND_SEED))


def _painted(picture: Picture, side_px: int, random: Random) -> Pixels:
    """Anything but an emoji, in even light."""
    if picture.kind is PictureKind.COLOR:
        return _plain(COLORS[picture.name], side_px)
    background = _background(picture.color, random)
    rgb = _plain(background, side_px)
    size = side_px * float(random.uniform(0.28, 0.42))
    middle = side_px * (0.5 + random.uniform(-0.08, 0.08, 2))
    match picture.kind:
        case PictureKind.COUNT:
            for place in _places(picture.count, random):
                _fill(rgb, Shape(picture.name), place * side_px, side_px * 0.12, random, COLORS[picture.color])
        case PictureKind.SHAPE:
            _fill(rgb, Shape(picture.name), middle, size, random, COLORS[picture.color])
        case PictureKind.DIGIT | PictureKind.WORD:
            _write(rgb, picture.name, COLORS[picture.color], random)
        case _:
            _THING_PAINTERS[picture.name](rgb, middle, size, COLORS[picture.color])
    return rgb


def _plain(color: Color, side_px: int) -> Pixels:
    return np.full((side_px, side_px, 3), color, np.uint8)


def _background(color: str, random: Random) -> Color:
    """Light behind dark things and dark behind light ones."""
    is_light = color in ("white", "yellow", "pink")
    level = int(random.integers(40, 90)) if is_light else int(random.integers(205, 256))
    return level, level, level


def _lit(rgb: Pixels, random: Random) -> Pixels:
    """A little light from one side, and the camera's noise."""
    slope = np.linspace(-1, 1, len(rgb)) * float(random.uniform(-10, 10))
    noise = random.normal(0, float(random.uniform(0, 4)), rgb.shape)
    return np.clip(rgb + slope[None, :, None] + noise, 0, 255).astype(np.uint8)


# --- shapes and letters ---------------------------------------------------------------------------------------------


def _fill(rgb: Pixels, shape: Shape, middle: Points, size: float, random: Random, color: Color) -> None:
    corners = outline(shape) @ _rotation(float(random.uniform(-0.15, 0.15)))
    areas = [corners] if shape is not Shape.RING else [corners, 0.6 * corners]  # even-odd: the inner one is a hole
    _polygons(rgb, [area * size + middle for area in areas], color)


def _rotation(turn: float) -> Points:
    return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])


def _polygon(rgb: Pixels, points: Points, color: Color) -> None:
    _polygons(rgb, [points], color)


def _polygons(rgb: Pixels, areas: Sequence[Points], color: Color) -> None:
    points = [np.round(area * 2**SUBPIXEL_BITS).astype(np.int32) for area in areas]
    cv2.fillPoly(rgb, points, color, cv2.LINE_AA, SUBPIXEL_BITS)


def _corners(*points: tuple[float, float]) -> Points:
    return np.array(points, np.float64)


def _places(count: int, random: Random) -> Points:
    """Where several things go: cells of a grid, each a little off its middle; [count, 2] in (0, 1)."""
    columns = 2 if count <= 4 else 3
    rows = -(-count // columns)
    cells = random.permutation(columns * rows)[:count]
    middles = np.stack([(cells % columns + 0.5) / columns, (cells // columns + 0.5) / rows], 1)
    return middles + random.uniform(-0.02, 0.02, middles.shape)


def _write(rgb: Pixels, text: str, color: Color, random: Random) -> None:
    """Letters as large as they fit."""
    side_px = len(rgb)
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(2, side_px // 24 if len(text) == 1 else side_px // 48)
    (width, height), _ = cv2.getTextSize(text, font, 1.0, thickness)
    scale = min(side_px * 0.85 / width, side_px * 0.6 / height) * float(random.uniform(0.8, 1.0))
    x, y = int((side_px - width * scale) / 2), int((side_px + height * scale) / 2)
    cv2.putText(rgb, text, (x, y), font, scale, color, thickness, cv2.LINE_AA)


# --- things: a few strokes each -------------------------------------------------------------------------------------

Painter = Callable[[Pixels, Points, float, Color], None]
_INK = (40, 40, 40)


def _disc(rgb: Pixels, middle: Points, radius: float, color: Color) -> None:
    _polygon(rgb, outline(Shape.CIRCLE) * radius + middle, color)


def _face(rgb: Pixels, middle: Points, size: float, mouth_up: bool) -> None:
    _disc(rgb, middle, size, COLORS["yellow"])
    for x in (-0.35, 0.35):
        _disc(rgb, middle + np.array([x, -0.25]) * size, size * 0.13, _INK)
    start, end = (20, 160) if mouth_up else (200, 340)
    at = middle + np.array([0, 0.1 if mouth_up else 0.6]) * size
    cv2.ellipse(
        rgb, tuple(at.astype(int).tolist()), (int(size * 0.5), int(size * 0.4)), 0, start, end, _INK,
        max(2, int(size / 10)), cv2.LINE_AA,
    )  # fmt: skip


def _house(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    _polygon(rgb, _corners((-0.7, -0.1), (0.7, -0.1), (0.7, 1), (-0.7, 1)) * size + middle, (222, 184, 135))
    _polygon(rgb, _corners((-1, -0.1), (0, -1), (1, -0.1)) * size + middle, COLORS["red"])
    _polygon(rgb, _corners((-0.2, 0.4), (0.2, 0.4), (0.2, 1), (-0.2, 1)) * size + middle, COLORS["brown"])


def _tree(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    _polygon(rgb, _corners((-0.15, 0.2), (0.15, 0.2), (0.15, 1), (-0.15, 1)) * size + middle, COLORS["brown"])
    _disc(rgb, middle + np.array([0, -0.25]) * size, size * 0.7, COLORS["green"])


def _flower(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    _polygon(rgb, _corners((-0.06, 0), (0.06, 0), (0.06, 1.1), (-0.06, 1.1)) * size + middle, COLORS["green"])
    for turn in np.arange(6) * np.pi / 3:
        _disc(
            rgb, middle + (np.array([np.cos(turn), np.sin(turn)]) * 0.45 - [0, 0.3]) * size, size * 0.28, COLORS["pink"]
        )
    _disc(rgb, middle - np.array([0, 0.3]) * size, size * 0.25, COLORS["yellow"])


def _sun(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    for turn in np.arange(8) * np.pi / 4:
        ray = _corners((-0.12, -0.6), (0.12, -0.6), (0, -1.1))
        _polygon(rgb, ray @ _rotation(float(turn)) * size + middle, COLORS["orange"])
    _disc(rgb, middle, size * 0.55, COLORS["yellow"])


def _cloud(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    for x, y, radius in ((-0.55, 0.1, 0.4), (0, -0.15, 0.55), (0.55, 0.1, 0.42), (0, 0.2, 0.45)):
        _disc(rgb, middle + np.array([x, y]) * size, size * radius, (150, 185, 220))


def _fish(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    _polygon(rgb, outline(Shape.CIRCLE) * [0.8, 0.5] * size + middle, COLORS["orange"])
    _polygon(rgb, _corners((0.6, 0), (1.1, -0.45), (1.1, 0.45)) * size + middle, COLORS["orange"])
    _disc(rgb, middle + np.array([-0.4, -0.1]) * size, size * 0.1, _INK)


def _car(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    _polygon(rgb, _corners((-1, 0), (1, 0), (1, 0.45), (-1, 0.45)) * size + middle, color)
    _polygon(rgb, _corners((-0.6, 0), (-0.35, -0.45), (0.4, -0.45), (0.65, 0)) * size + middle, color)
    for x in (-0.55, 0.55):
        _disc(rgb, middle + np.array([x, 0.5]) * size, size * 0.24, _INK)


def _cup(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    behind = tuple(int(level) for level in rgb[0, 0])
    _disc(rgb, middle + np.array([0.7, 0]) * size, size * 0.4, color)
    _disc(rgb, middle + np.array([0.7, 0]) * size, size * 0.22, behind)
    _polygon(rgb, _corners((-0.7, -0.7), (0.7, -0.7), (0.5, 0.7), (-0.5, 0.7)) * size + middle, color)


def _ball(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    _disc(rgb, middle, size * 0.9, color)
    _polygon(rgb, outline(Shape.CIRCLE) * [0.9, 0.22] * size + middle, (235, 235, 235))


def _key(rgb: Pixels, middle: Points, size: float, color: Color) -> None:
    behind = tuple(int(level) for level in rgb[0, 0])
    gold = (200, 160, 40)
    _disc(rgb, middle + np.array([-0.6, 0]) * size, size * 0.4, gold)
    _disc(rgb, middle + np.array([-0.6, 0]) * size, size * 0.18, behind)
    _polygon(rgb, _corners((-0.3, -0.1), (1, -0.1), (1, 0.1), (-0.3, 0.1)) * size + middle, gold)
    for x in (0.6, 0.85):
        _polygon(rgb, _corners((x, 0), (x + 0.12, 0), (x + 0.12, 0.4), (x, 0.4)) * size + middle, gold)


_THING_PAINTERS: dict[str, Painter] = {
    "smiley": lambda rgb, middle, size, color: _face(rgb, middle, size, mouth_up=True),
    "sad face": lambda rgb, middle, size, color: _face(rgb, middle, size, mouth_up=False),
    "house": _house,
    "tree": _tree,
    "flower": _flower,
    "sun": _sun,
    "cloud": _cloud,
    "fish": _fish,
    "car": _car,
    "cup": _cup,
    "ball": _ball,
    "key": _key,
}
