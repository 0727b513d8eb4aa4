"""The judge of round trips: a small network that names the shape and the colour of a drawn scene.

It learns from originals of a series of its own, some of them out of focus or in noise, and never sees what a tokenizer
made.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from model.init import init_weights
from model.training.data.scenes import COLOURS, SHAPES, Scene, SceneKind, scene
from model.training.data.seeding import random_for
from model.training.stages.image_tokenizer import pixels_of

SEED = 2  # of its scenes: neither the tokenizer's nor those it is tested on
BLUR_PX, NOISE_LEVELS = 1.6, 12.0  # at most, of half its pictures each


class ShapeReader(nn.Module):
    """Pixels [B, 3, side, side] in [-1, 1] → scores of shapes [B, 10] and colours [B, 11]."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(3, 32, 4, 2, 1), nn.GroupNorm(8, 32), nn.SiLU()]
        for width, next_width in ((32, 64), (64, 96), (96, 128)):
            parts += [nn.Conv2d(width, next_width, 3, 1, 1), nn.GroupNorm(8, next_width), nn.SiLU(), nn.MaxPool2d(2)]
        parts += [nn.Conv2d(128, 128, 3, 1, 1), nn.SiLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()]
        self.body = nn.Sequential(*parts)
        self.shape = nn.Linear(128, len(SHAPES))
        self.colour = nn.Linear(128, len(COLOURS))

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        features_BX = self.body(pixels_BCHW)
        return self.shape(features_BX).float(), self.colour(features_BX).float()

    @torch.no_grad()
    def read(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of the likeliest shapes and colours [B]."""
        shapes, colours = zip(*(self(part_BCHW) for part_BCHW in pixels_BCHW.split(64)), strict=True)
        return torch.cat(shapes).argmax(-1), torch.cat(colours).argmax(-1)


def shape_scenes(num: int, first: int, seed: int, side_px: int) -> list[Scene]:
    """The first `num` scenes with shapes, from scene `first` on."""
    scenes: list[Scene] = []
    index = first
    while len(scenes) < num:
        drawn = scene(index, seed, side_px)
        if drawn.kind is SceneKind.SHAPES:
            scenes.append(drawn)
        index += 1
    return scenes


def labels_of(scenes: list[Scene]) -> tuple[Tensor, Tensor]:
    """Numbers of their shapes and colours."""
    shapes = torch.tensor([SHAPES.index(drawn.shape) for drawn in scenes if drawn.shape is not None])
    return shapes, torch.tensor([COLOURS.index(drawn.colour) for drawn in scenes])


def disturbed(rgb: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """As it is, out of focus, in noise, or both."""
    if random.random() < 0.5:
        rgb = cv2.GaussianBlur(rgb, (0, 0), random.uniform(0.3, BLUR_PX))
    if random.random() < 0.5:
        noise = random.standard_normal(rgb.shape, np.float32) * random.uniform(0.0, NOISE_LEVELS)
        rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    return rgb


def train_shape_reader(side_px: int, steps: int = 1_000, batch: int = 32) -> ShapeReader:
    """A trained reader. A minute or two on one core."""
    reader = ShapeReader()
    init_weights(reader, SEED)
    reader.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(steps):
        scenes = shape_scenes(batch, step * 4 * batch, SEED, side_px)
        shapes, colours = labels_of(scenes)
        random = random_for("shape_reader", SEED, step)
        pixels_BCHW = pixels_of([disturbed(drawn.rgb, random) for drawn in scenes])
        with torch.autocast("cpu", torch.bfloat16):
            shape_scores, colour_scores = reader(pixels_BCHW)
        loss = F.cross_entropy(shape_scores, shapes) + F.cross_entropy(colour_scores, colours)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return reader.eval()
