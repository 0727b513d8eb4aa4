"""Stage `vision_encoder`: eyes. The encoder learns features from which linear layers read what a card shows.

One linear layer for each question (`Question`), and one that draws a thumbnail of the frame, read all positions of a
frame at once. Nothing but these stands between features and answers, so what a decoder needs is within its reach.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoders.vision import VisionConfig, VisionEncoder
from model.init import init_weights
from model.parts import reader_file
from model.training.config import LoopConfig
from model.training.data.clip import Split
from model.training.data.frames import ANSWERS, NO_ANSWER, Frame, Question, familiar_pictures, frame
from model.training.data.named_pictures import NamedPicture
from model.training.data.picture_set import PictureSet
from model.training.registry import Setup
from model.training.stage import Loss
from model.training.stages.image_tokenizer import pixels_of

THUMBNAIL_PX = 8
THUMBNAIL_WEIGHT = 0.5
TRAINING_SEED, HELD_OUT_SEED = 0, 1  # of frames
NUM_HELD_OUT = 512  # frames, while training; `evaluate_pictures` takes more


@dataclass(frozen=True, slots=True)
class VisionEncoderConfig:
    """The options of the stage."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=8_000, learning_rate=1e-3, betas=(0.9, 0.99), weight_decay=0.05, evaluate_every=1_000
        )
    )
    frames_per_batch: int = 16

    def build(self, setup: Setup) -> "VisionEncoderStage":
        if setup.model.vision is None:
            raise ValueError(f"the model {setup.model.name!r} has no vision encoder")
        pictures = list(PictureSet(setup.data / "pictures" / "emoji", split=Split.TRAIN))
        return VisionEncoderStage(setup.model.vision, self, familiar_pictures(pictures)[0])


@dataclass(frozen=True, slots=True)
class Frames:
    """A batch: pixels [B, 3, side, side] in [-1, 1] and the answers' numbers [B, questions]."""

    pixels_BCHW: Tensor
    labels_BQ: Tensor


class Seer(nn.Module):
    """The encoder and its linear readers: pixels to scores by question, and the thumbnail's pixels."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.encoder = VisionEncoder(config)
        width = config.num_positions * config.d_out
        self.read = nn.ModuleDict({question.value: nn.Linear(width, len(ANSWERS[question])) for question in Question})
        self.thumbnail = nn.Linear(width, 3 * THUMBNAIL_PX**2)

    def forward(self, pixels_BCHW: Tensor) -> tuple[dict[Question, Tensor], Tensor]:
        features_BX = self.encoder(pixels_BCHW).flatten(1)
        scores = {question: self.read[question.value](features_BX) for question in Question}
        return scores, self.thumbnail(features_BX).view(-1, 3, THUMBNAIL_PX, THUMBNAIL_PX)


class VisionEncoderStage:
    """Satisfies `Stage[Frames]`."""

    unit = "frames"

    def __init__(self, encoder: VisionConfig, config: VisionEncoderConfig, familiar: Sequence[NamedPicture]) -> None:
        cv2.setNumThreads(1)  # pictures this small lose time to threads
        self.config = config
        self._side = encoder.side_px
        self._familiar = familiar
        self.seer = Seer(encoder)
        init_weights(self.seer, config.loop.seed)
        self.seer.to(memory_format=torch.channels_last)
        self._held_out = gather([self._frame(index, HELD_OUT_SEED) for index in range(NUM_HELD_OUT)])

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"see": self.seer}

    def batch(self, index: int) -> Frames:
        first = index * self.config.frames_per_batch
        return gather([self._frame(first + row, TRAINING_SEED) for row in range(self.config.frames_per_batch)])

    def loss(self, phase: str, batch: Frames, step: int) -> Loss:
        scores, thumbnail_BCHW = self.seer(batch.pixels_BCHW)
        parts = {}
        for question, labels_B in zip(Question, batch.labels_BQ.T, strict=True):
            summed = F.cross_entropy(scores[question].float(), labels_B, ignore_index=NO_ANSWER, reduction="sum")
            parts[question.value] = summed / len(labels_B)
        small_BCHW = F.adaptive_avg_pool2d(batch.pixels_BCHW, THUMBNAIL_PX)
        parts["thumbnail"] = THUMBNAIL_WEIGHT * F.mse_loss(thumbnail_BCHW.float(), small_BCHW)
        return Loss(torch.stack(list(parts.values())).sum(), len(batch.pixels_BCHW), parts)

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        """Shares of right answers, by question; a question that no frame was asked has none."""
        losses = []
        right: dict[Question, list[Tensor]] = {question: [] for question in Question}
        for start in range(0, NUM_HELD_OUT, 64):
            batch = Frames(self._held_out.pixels_BCHW[start : start + 64], self._held_out.labels_BQ[start : start + 64])
            losses.append(float(self.loss("see", batch, 0).total))
            scores, _ = self.seer(batch.pixels_BCHW)
            for question, labels_B in zip(Question, batch.labels_BQ.T, strict=True):
                asked_B = labels_B != NO_ANSWER
                right[question].append((scores[question].argmax(-1) == labels_B)[asked_B])
        joined = {question: torch.cat(hits).float() for question, hits in right.items()}
        shares = {f"{question}_accuracy": float(hits.mean()) for question, hits in joined.items() if len(hits)}
        return {"loss": sum(losses) / len(losses)} | shares

    def export(self, directory: Path) -> None:
        """`vision.safetensors` for the model, its readers for evaluation."""
        directory.mkdir(parents=True, exist_ok=True)
        encoder = {name: tensor.contiguous() for name, tensor in self.seer.encoder.state_dict().items()}
        save_file(encoder, directory / "vision.safetensors")
        save_file(dict(self.seer.read.state_dict()), directory / reader_file("vision"))

    def _frame(self, index: int, seed: int) -> Frame:
        return frame(index, seed, self._familiar, self._side)


def gather(frames: Sequence[Frame]) -> Frames:
    """Frames of one size as one batch."""
    return Frames(pixels_of([one.rgb for one in frames]), torch.tensor([one.labels() for one in frames]))
