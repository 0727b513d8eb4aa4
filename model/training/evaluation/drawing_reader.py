"""The judge of drawings: a small network that says what is drawn, in which colour and how many of it.

It learns from our own pictures, some of them out of focus or in noise, and never sees what a model drew. It also learns
what is no drawing: noise, half a picture, one picture through another. Shapes: B pictures, C channels, X features.
"""

import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from model.init import init_weights
from model.training.data.scenes import COLOURS, SHAPES
from model.training.data.seeding import random_for
from model.training.shape_reader import disturbed
from model.training.simulation.pictures import COLORED, THINGS, draw_picture, paint
from model.training.simulation.script import Picture, PictureKind
from model.training.stages.image_tokenizer import pixels_of
from streams.types import Pixels

SIDE_PX = 64
SEED = 5  # of its pictures: none that is shown, drawn or trained on elsewhere comes from it
READ_KINDS = (PictureKind.COLOR, PictureKind.SHAPE, PictureKind.COUNT, PictureKind.DIGIT, PictureKind.THING)
PLAIN = "plain"
NOTHING = "nothing"
SUBJECTS: tuple[str, ...] = (PLAIN, *SHAPES, *(str(digit) for digit in range(10)), *THINGS, NOTHING)
MOST = 6
STEPS = 1_500
BATCH = 32
NO_DRAWING_ONE_IN = 4  # of what it learns from
ORIGINALS = 200  # on which it is tested itself, and as many that are no drawings
_KEY = "learns"

Labels: TypeAlias = tuple[int, int | None, int | None]  # subject, colour, count; None where it does not matter


class DrawingReader(nn.Module):
    """Pixels [B, 3, 64, 64] in [-1, 1] → scores of subjects, colours and numbers 1 to 6."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(3, 32, 4, 2, 1), nn.GroupNorm(8, 32), nn.SiLU()]
        for width, next_width in ((32, 64), (64, 96)):
            parts += [nn.Conv2d(width, next_width, 3, 1, 1), nn.GroupNorm(8, next_width), nn.SiLU(), nn.MaxPool2d(2)]
        parts += [nn.Conv2d(96, 128, 3, 1, 1), nn.SiLU()]
        self.body = nn.Sequential(*parts)
        self.heads = nn.ModuleList(nn.Linear(256, size) for size in (len(SUBJECTS), len(COLOURS), MOST))

    def forward(self, pixels_BCHW: Tensor) -> list[Tensor]:
        features_BCHW = self.body(pixels_BCHW)
        features_BX = torch.cat((features_BCHW.amax((2, 3)), features_BCHW.mean((2, 3))), dim=1)
        return [head(features_BX).float() for head in self.heads]

    def agrees(self, picture: Picture, rgb: Pixels) -> bool:
        """Whether a drawing is of this. Raises ValueError for a kind that is not read."""
        return all(want is None or want == got for want, got in zip(labels_of(picture), self.read(rgb), strict=True))

    @torch.no_grad()
    def read(self, rgb: Pixels) -> tuple[int, ...]:
        """Numbers of the likeliest subject, colour and count."""
        pixels_BCHW = pixels_of([cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)])
        return tuple(int(scores.argmax()) for scores in self(pixels_BCHW))

    def takes_for_drawing(self, rgb: Pixels) -> bool:
        """Whether it sees anything at all in this."""
        return self.read(rgb)[0] != SUBJECTS.index(NOTHING)


def labels_of(picture: Picture) -> Labels:
    """Raises ValueError for a kind that is not read."""
    if picture.kind not in READ_KINDS:
        raise ValueError(f"a drawing of the kind {picture.kind} is not read")
    colour, count = COLOURS.index(picture.color), picture.count - 1
    match picture.kind:
        case PictureKind.COLOR:
            return SUBJECTS.index(PLAIN), COLOURS.index(picture.name), None
        case PictureKind.SHAPE | PictureKind.COUNT:
            return SUBJECTS.index(picture.name), colour, count
        case PictureKind.THING if picture.name in COLORED:
            return SUBJECTS.index(picture.name), colour, None
        case _:
            return SUBJECTS.index(picture.name), None, None


def some_picture(*number: str | int) -> tuple[Picture, Pixels]:
    """A picture of any kind that is read, a function of its number."""
    random = random_for("drawing reader", SEED, *number)
    picture = draw_picture(random, READ_KINDS[int(random.integers(len(READ_KINDS)))])
    return picture, paint(picture, SIDE_PX)


def no_drawing(*number: str | int) -> Pixels:
    """Noise, half a picture, or one picture through another: what nobody should take for a drawing."""
    random = random_for("no drawing", SEED, *number)
    (picture, rgb), (other, beside) = some_picture(*number, "first"), some_picture(*number, "second")
    pictures = {picture.kind, other.kind}
    is_same = labels_of(picture) == labels_of(other)
    way = int(random.integers(3))
    if way == 0 and PictureKind.COLOR not in pictures and not is_same:
        share = float(random.uniform(0.35, 0.65))
        return cv2.addWeighted(rgb, share, beside, 1 - share, 0)
    noise = _noise(random)
    if way == 1:
        return noise
    rest = beside if random.random() < 0.4 and not is_same else noise if random.random() < 0.5 else _mean(rgb, random)
    cut = SIDE_PX // 2 + int(random.integers(-6, 7))
    half = rgb.copy()
    half[cut:] = rest[cut:]
    return np.ascontiguousarray(np.rot90(half, int(random.integers(4)))) if random.random() < 0.3 else half


def _noise(random: np.random.Generator) -> Pixels:
    """Of grains of one to sixteen pixels."""
    side = SIDE_PX >> int(random.integers(5))
    grains = random.integers(0, 256, (side, side, 3)).astype(np.uint8)
    smooth = cv2.INTER_CUBIC if random.random() < 0.5 else cv2.INTER_NEAREST
    return cv2.resize(grains, (SIDE_PX, SIDE_PX), interpolation=smooth)


def _mean(rgb: Pixels, random: np.random.Generator) -> Pixels:
    """One colour, well off that of a plain surface."""
    shade = (rgb.reshape(-1, 3).mean(axis=0) + random.integers(70, 186)) % 256
    return np.full_like(rgb, shade.astype(np.uint8))


def lesson(step: int, batch: int = BATCH) -> tuple[list[Pixels], list[Labels]]:
    """What is learned from in one step."""
    random = random_for("disturbed drawing", SEED, step)
    images: list[Pixels] = []
    labels: list[Labels] = []
    for place in range(batch):
        if place % NO_DRAWING_ONE_IN == 0:
            rgb, wanted = no_drawing("train", step, place), (SUBJECTS.index(NOTHING), None, None)
        else:
            picture, rgb = some_picture("train", step, place)
            wanted = labels_of(picture)
        images.append(disturbed(rgb, random))
        labels.append(wanted)
    return images, labels


def train_drawing_reader(steps: int = STEPS, batch: int = BATCH) -> DrawingReader:
    """A trained reader. Some minutes on one core."""
    reader = DrawingReader()
    init_weights(reader, SEED)
    reader.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in tqdm(range(steps), "training the judge of drawings", unit="step", leave=False):
        images, wanted = lesson(step, batch)
        pixels_BCHW = pixels_of(images)
        loss = torch.zeros(())
        for scores, labels in zip(reader(pixels_BCHW), zip(*wanted, strict=True), strict=True):
            labels_B = torch.tensor([-1 if label is None else label for label in labels])
            if bool((labels_B >= 0).any()):
                loss = loss + F.cross_entropy(scores, labels_B, ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return reader.eval()


# --- its file ---------------------------------------------------------------------------------------------------------


def learning_key() -> str:
    """Changes with what a reader learns: its words, its pictures, how long it learns."""
    images, labels = lesson(0)
    told = repr((SUBJECTS, COLOURS, MOST, SIDE_PX, STEPS, BATCH, labels)).encode()
    return blake2b(told + b"".join(rgb.tobytes() for rgb in images), digest_size=16).hexdigest()


def save_drawing_reader(reader: DrawingReader, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    tensors = {name: tensor.contiguous() for name, tensor in reader.state_dict().items()}
    save_file(tensors, part, {_KEY: learning_key()})
    os.replace(part, path)


def read_drawing_reader(path: Path) -> DrawingReader:
    """Raises ValueError for a file that is no reader, or one that learned other pictures than we draw now."""
    try:
        with safe_open(path, framework="pt") as kept:
            key = (kept.metadata() or {}).get(_KEY)
            tensors = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is no judge of drawings: {error}") from error
    if key != learning_key():
        raise ValueError(f"{path} learned other pictures than ours: remove it, and one is trained anew")
    reader = DrawingReader()
    reader.load_state_dict(tensors)
    return reader.eval()


def load_drawing_reader(path: Path) -> DrawingReader:
    """The reader kept in this file; trained and kept there where there is none."""
    if not path.is_file():
        save_drawing_reader(train_drawing_reader(), path)
    return read_drawing_reader(path)


# --- how far it can be trusted ----------------------------------------------------------------------------------------


def right_on_originals(reader: DrawingReader, count: int = ORIGINALS) -> list[bool]:
    """Whether each of some fresh originals is accepted as what it is: no drawing can do better for certain."""
    return [reader.agrees(picture, rgb) for picture, rgb in _originals(count)]


def right_as_others(reader: DrawingReader, count: int = ORIGINALS) -> list[bool]:
    """Whether each is accepted as another picture of its kind."""
    return [reader.agrees(_another(picture, number), rgb) for number, (picture, rgb) in enumerate(_originals(count))]


def taken_for_drawings(reader: DrawingReader, count: int = ORIGINALS) -> list[bool]:
    """Whether anything is seen in what is no drawing."""
    return [reader.takes_for_drawing(no_drawing("test", number)) for number in range(count)]


def _originals(count: int) -> Sequence[tuple[Picture, Pixels]]:
    return [some_picture("test", number) for number in range(count)]


def _another(picture: Picture, number: int) -> Picture:
    """One of the same kind that is not the same."""
    random = random_for("another drawing", SEED, number)
    while True:
        other = draw_picture(random, picture.kind)
        pairs = zip(labels_of(picture), labels_of(other), strict=True)
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            return other
