"""What a stage of the recipe is to the training loop: networks, batches and losses, nothing else.

A batch is a function of its index alone (and of the stage's own seed and rank). The loop therefore has no data state
to save: a run that was killed and resumed sees the batches that an unbroken run would have seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from torch import Tensor, nn

BatchT = TypeVar("BatchT")


@dataclass(frozen=True, slots=True)
class Loss:
    """`total` is minimised; `parts` are shown and logged, detached or not. `num_units` counts what was learned from.

    A unit is what the stage's speed is told in: a token, a second of sound, a picture (`Stage.unit`).
    """

    total: Tensor
    num_units: float
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class Stage(Protocol[BatchT]):
    """One stage. Weights with `requires_grad` off are frozen; buffers are saved with the rest."""

    @property
    def unit(self) -> str:
        """Plural, as in "tokens" for tokens/s."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What is trained, by phase. A step runs the phases in this order, each with an optimizer of its own.

        Most stages have one phase; an adversarial stage has two, and its second may use what its first computed.
        """

    def batch(self, index: int) -> BatchT:
        """The batch of this index: the same whenever it is asked for. With micro-batches a step takes several."""

    def loss(self, phase: str, batch: BatchT, step: int) -> Loss:
        """What `phase` minimises on this batch. Called under autocast where the run uses bfloat16."""

    def evaluate(self) -> Mapping[str, float]:
        """Figures on held-out data by name, for the log and the final report. Networks are in evaluation mode."""

    def export(self, directory: Path) -> None:
        """Write what serving or the next stage loads. Networks hold their averaged weights where a run averages."""
