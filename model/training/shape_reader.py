"""The judge of round trips: a small network that names the shape and the colour of a drawn scene.

It learns from originals of a series of its own and never sees what a tokenizer made.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.init import init_weights
from model.training.data.scenes import COLOURS, SHAPES, Scene, SceneKind, scene
from model.training.stages.image_tokenizer import pixels_of

SEED = 2  # of its scenes: neither the tokenizer's nor those it is tested on
INPUT_PX = 48


class ShapeReader(nn.Module):
    """Pixels [B, 3, side, side] in [-1, 1] → scores of shapes [B, 10] and colours [B, 11]."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for width, next_width in ((3, 32), (32, 64), (64, 96), (96, 128)):
            parts += [nn.Conv2d(width, next_width, 3, 1, 1), nn.GroupNorm(8, next_width), nn.SiLU(), nn.MaxPool2d(2)]
        parts += [nn.Conv2d(128, 128, 3, 1, 1), nn.SiLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()]
        self.body = nn.Sequential(*parts)
        self.shape = nn.Linear(128, len(SHAPES))
        self.colour = nn.Linear(128, len(COLOURS))

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        small_BCHW = F.interpolate(pixels_BCHW, (INPUT_PX, INPUT_PX), mode="area")
        features_BX = self.body(small_BCHW)
        return self.shape(features_BX), self.colour(features_BX)

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


def train_shape_reader(side_px: int, steps: int = 700, batch: int = 48) -> ShapeReader:
    """A trained reader. About a minute on one core."""
    reader = ShapeReader()
    init_weights(reader, SEED)
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(steps):
        scenes = shape_scenes(batch, step * 4 * batch, SEED, side_px)
        shapes, colours = labels_of(scenes)
        shape_scores, colour_scores = reader(pixels_of([drawn.rgb for drawn in scenes]))
        loss = F.cross_entropy(shape_scores, shapes) + F.cross_entropy(colour_scores, colours)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return reader.eval()
