"""The judge of drawings: a small network that says what is drawn, in which colour and how many of it.

It learns from our own pictures, some of them out of focus or in noise, and never sees what a model drew. Shapes: B
pictures, C channels, X features.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
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
SUBJECTS: tuple[str, ...] = (PLAIN, *SHAPES, *(str(digit) for digit in range(10)), *THINGS)
MOST = 6
STEPS = 2_000
ORIGINALS = 200  # on which it is tested itself


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

    @torch.no_grad()
    def agrees(self, picture: Picture, rgb: Pixels) -> bool:
        """Whether a drawing is of this. Raises ValueError for a kind that is not read."""
        wanted = labels_of(picture)
        pixels_BCHW = pixels_of([cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)])
        read = [int(scores.argmax()) for scores in self(pixels_BCHW)]
        return all(want is None or want == got for want, got in zip(wanted, read, strict=True))


def labels_of(picture: Picture) -> tuple[int, int | None, int | None]:
    """Numbers of its subject, colour and count; None for what does not matter, or has no name."""
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


def train_drawing_reader(steps: int = STEPS, batch: int = 32) -> DrawingReader:
    """A trained reader. Some minutes on one core."""
    reader = DrawingReader()
    init_weights(reader, SEED)
    reader.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in tqdm(range(steps), "training the judge of drawings", unit="step", leave=False):
        drawn = [some_picture("train", step, place) for place in range(batch)]
        random = random_for("disturbed drawing", SEED, step)
        pixels_BCHW = pixels_of([disturbed(rgb, random) for _, rgb in drawn])
        wanted = [labels_of(picture) for picture, _ in drawn]
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


def load_drawing_reader(path: Path) -> DrawingReader:
    """The reader kept in this file; trained and kept there where it is not."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(train_drawing_reader().state_dict(), path)
    reader = DrawingReader()
    reader.load_state_dict(torch.load(path, weights_only=True))
    return reader.eval()


def right_on_originals(reader: DrawingReader, count: int = ORIGINALS) -> float:
    """The share of fresh originals on which the reader is right: no drawing can do better for certain."""
    drawn = [some_picture("test", number) for number in range(count)]
    return float(np.mean([reader.agrees(picture, rgb) for picture, rgb in drawn]))
