"""Stage `image_tokenizer`: square pictures to a grid of ids and back, learned from named pictures and drawn scenes.

The loss is on pixels and on their differences between neighbours, which is where blur shows; there is no perceptual
network and no critic: flat drawings need neither, and both would cost more than the tokenizer itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from model.init import init_weights
from model.tokenizers.image_vq import ImageVQ, ImageVQConfig
from model.training.config import LoopConfig
from model.training.data.clip import Split
from model.training.data.compose import scattered, shown
from model.training.data.named_pictures import NamedPicture
from model.training.data.picture_set import PictureSet
from model.training.data.scenes import scene
from model.training.data.seeding import random_for
from model.training.registry import Setup
from model.training.stage import Loss

SQUARE_WEIGHT, ABSOLUTE_WEIGHT, EDGE_WEIGHT, COMMITMENT_WEIGHT = 2.0, 0.5, 0.25, 0.25
TRAINING_SEED, HELD_OUT_SEED = 0, 1  # of scenes
NUM_HELD_OUT = 128  # of each kind, while training; `evaluate_pictures` takes more
START_BATCHES = 2  # whose vectors the codebook starts from


@dataclass(frozen=True, slots=True)
class ImageTokenizerConfig:
    """The options of the stage."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=6_000, learning_rate=1.5e-3, betas=(0.9, 0.99), weight_decay=0.01, evaluate_every=1_000
        )
    )
    pictures_per_batch: int = 16
    scene_share: float = 0.4  # of all pictures; the rest are named ones

    def build(self, setup: Setup) -> "ImageTokenizerStage":
        if setup.model.image_vq is None:
            raise ValueError(f"the model {setup.model.name!r} has no image tokenizer")
        directory = setup.data / "pictures" / "emoji"
        train, held_out = (list(PictureSet(directory, split=split)) for split in (Split.TRAIN, Split.EVAL))
        return ImageTokenizerStage(setup.model.image_vq, self, train, held_out)


class ImageTokenizerStage:
    """Satisfies `Stage[Tensor]`: a batch is pixels [B, 3, side, side] in [-1, 1]."""

    unit = "pictures"

    def __init__(
        self,
        tokenizer: ImageVQConfig,
        config: ImageTokenizerConfig,
        train: Sequence[NamedPicture],
        held_out: Sequence[NamedPicture],
    ) -> None:
        cv2.setNumThreads(1)  # pictures this small lose time to threads
        self.config = config
        self._side = tokenizer.side_px
        self._train = train
        self.tokenizer = ImageVQ(tokenizer)
        init_weights(self.tokenizer, config.loop.seed)
        self.tokenizer.to(memory_format=torch.channels_last)
        self._start_codes()
        every = max(1, len(held_out) // NUM_HELD_OUT)
        self._held_out = {
            "named": [shown(picture.rgba, self._side) for picture in held_out[::every]],
            "scenes": [scene(index, HELD_OUT_SEED, self._side).rgb for index in range(NUM_HELD_OUT)],
        }

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"draw": self.tokenizer}

    def batch(self, index: int) -> Tensor:
        return pixels_of([self._picture(index, row) for row in range(self.config.pictures_per_batch)])

    def loss(self, phase: str, batch: Tensor, step: int) -> Loss:
        out = self.tokenizer(batch)
        error = out.pixels_BCHW.float() - batch
        square, absolute = error.square().mean(), error.abs().mean()
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        total = (
            SQUARE_WEIGHT * square
            + ABSOLUTE_WEIGHT * absolute
            + EDGE_WEIGHT * edges
            + COMMITMENT_WEIGHT * out.commitment_loss
        )
        return Loss(total, len(batch), {"square": square, "edges": edges, "commitment": out.commitment_loss})

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        figures, ids = {}, []
        for name, pictures in self._held_out.items():
            errors = []
            for start in range(0, len(pictures), 32):
                pixels_BCHW = pixels_of(pictures[start : start + 32])
                out = self.tokenizer(pixels_BCHW)
                error = out.pixels_BCHW.float().clamp(-1.0, 1.0) - pixels_BCHW
                errors.append(error.square().mean((1, 2, 3)))
                ids.append(out.ids_BHW.flatten())
            figures[f"psnr_db_{name}"] = float(psnr_db(torch.cat(errors)).mean())
        entropy_bits, num_used = usage(torch.cat(ids))
        return figures | {"loss": -figures["psnr_db_named"], "entropy_bits": entropy_bits, "codes_used": num_used}

    def export(self, directory: Path) -> None:
        """`image_vq.safetensors`: the tokenizer."""
        directory.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.contiguous() for name, tensor in self.tokenizer.state_dict().items()}
        save_file(weights, directory / "image_vq.safetensors")

    def _picture(self, index: int, row: int) -> NDArray[np.uint8]:
        random = random_for("image_tokenizer", self.config.loop.seed, index, row)
        if not self._train or random.random() < self.config.scene_share:
            return scene(int(random.integers(2**31)), TRAINING_SEED, self._side).rgb
        return scattered(self._train[random.integers(len(self._train))].rgba, self._side, random)

    @torch.no_grad()
    def _start_codes(self) -> None:
        """Codes begin where vectors are. From random ones most would wait long to be revived."""
        codebook_VD = self.tokenizer.quantizer.codebooks_KVD[0]
        batches = [self.tokenizer.encoder(self.batch(-1 - number)) for number in range(START_BATCHES)]
        z_BD = torch.cat([z_BDHW.permute(0, 2, 3, 1).flatten(0, 2) for z_BDHW in batches])
        generator = torch.Generator().manual_seed(self.config.loop.seed)
        rows = torch.randint(len(z_BD), (len(codebook_VD),), generator=generator)
        spread = 0.01 * z_BD.std() * torch.rand(codebook_VD.shape, generator=generator)  # no two codes alike
        codebook_VD.copy_(z_BD[rows] + spread)


def pixels_of(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """uint8 RGB pictures of one size to [B, 3, H, W] in [-1, 1]."""
    levels_BHWC = torch.from_numpy(np.stack(pictures))
    return (levels_BHWC.permute(0, 3, 1, 2).float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def psnr_db(square_error_B: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture, from mean squared errors of pixels in [-1, 1]."""
    return 10.0 * torch.log10(4.0 / square_error_B.clamp_min(1e-10))


def usage(ids: Tensor) -> tuple[float, int]:
    """Entropy of the ids in bits, and how many different ones there are."""
    counts = torch.unique(ids, return_counts=True)[1].double()
    shares = counts / counts.sum()
    return float(-(shares * shares.log2()).sum()), len(counts)
