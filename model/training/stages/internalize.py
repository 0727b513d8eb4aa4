"""Stage `internalize`: reasoning written out, then taken away step by step from the left until only the answer is left.

After Deng, Choi and Shieber, "From explicit CoT to implicit CoT" (arXiv:2405.14838), on sums of several digits. While
steps go, each problem may lose a few more than the schedule says, so that the next removal is no surprise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from model.network import Network
from model.training.arithmetic import Problem, addition
from model.training.batches import to_device
from model.training.config import LoopConfig, Schedule
from model.training.conversation import Exchange, Reply, Scribe, perceiving_network
from model.training.data.seeding import random_for
from model.training.forward import is_exact, mean_loss
from model.training.language_stage import language_network, language_tokenizer, save_language
from model.training.packed_rows import PackedRows, RowsConfig, fill_rows, pack
from model.training.registry import Setup
from model.training.sequences import Sample
from model.training.stage import Loss
from streams.types import Message, Role


@dataclass(frozen=True, slots=True)
class InternalizeConfig:
    """The options of the stage. Removal is told in batches: with micro-batches a step takes several."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=800, learning_rate=4e-3, warmup_steps=20, schedule=Schedule.LINEAR_TAIL, evaluate_every=100
        )
    )
    rows: RowsConfig = field(default_factory=lambda: RowsConfig(rows=4, positions=192))
    start: Path | None = None  # weights to go on from: a stage's export or a checkpoint directory
    tokenizer: Path | None = None  # directory of the text tokenizer; bytes where there is none
    digits: int = 2  # of the numbers to be added, and steps of the working
    base: int = 4  # that numbers are written in
    explicit_batches: int = 250  # with the whole working
    batches_per_removal: int = 150  # before one more step goes
    smoothing: float = 4.0  # losing n more steps than scheduled is exp(-smoothing x n) as likely as none
    num_held_out: int = 128  # problems to measure accuracy on

    def __post_init__(self) -> None:
        if self.digits < 1 or not 2 <= self.base <= 10:
            raise ValueError(f"sums have at least 1 digit in a base from 2 to 10, got {self.digits} and {self.base}")
        if self.batches_per_removal < 1 or self.smoothing <= 0:
            raise ValueError("batches_per_removal and smoothing must be positive")

    def num_removed(self, batch: int) -> int:
        """How many steps of the working are gone in this batch."""
        if batch < self.explicit_batches:
            return 0
        return min(1 + (batch - self.explicit_batches) // self.batches_per_removal, self.digits)

    def build(self, setup: Setup) -> "InternalizeStage":
        """Raises ValueError or OSError saying what is wrong with weights or options."""
        num_batches = self.loop.steps * self.loop.micro_batches
        if self.num_removed(num_batches - 1) < self.digits:
            raise ValueError(f"after {num_batches} batches some of {self.digits} steps would still be written")
        network = language_network(setup.model, self.start, self.loop.seed)
        scribe = Scribe(perceiving_network(setup.model), language_tokenizer(setup.model, self.tokenizer))
        return InternalizeStage(network, scribe, self)


class InternalizeStage:
    """Satisfies `Stage[PackedRows]`."""

    unit = "tokens"

    def __init__(self, network: Network, scribe: Scribe, config: InternalizeConfig) -> None:
        self.network = network
        self.config = config
        self._scribe = scribe
        self._held_out = {
            "accuracy": self._problems(num_removed=config.digits),
            "accuracy_with_working": self._problems(num_removed=0),
        }

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"model": self.network}

    def batch(self, index: int) -> PackedRows:
        num_removed = self.config.num_removed(index)
        return fill_rows(lambda number: self._training_sample(number, num_removed), index, self.config.rows)

    def loss(self, phase: str, batch: PackedRows, step: int) -> Loss:
        return mean_loss(self.network, batch)

    def evaluate(self) -> Mapping[str, float]:
        """Shares of unseen problems that are solved: at once, and with all of the working written out before."""
        device = self.network.embedding.fuse.weight.device
        return {
            name: float(is_exact(self.network, to_device(rows, device)).float().mean())
            for name, rows in self._held_out.items()
        }

    def export(self, directory: Path) -> None:
        save_language(self.network, directory)

    def sample(self, problem: Problem, num_removed: int) -> Sample:
        """The problem as a question, and what is left of the working with the answer as the model's reply."""
        written = "".join(problem.steps[num_removed:]) + problem.answer
        question = Message(0, Role.USER, (problem.question,))
        return self._scribe.write((), [Exchange((question,), Reply(tuple(self._scribe.tokenizer.encode(written))))])

    def _training_sample(self, number: int, num_removed: int) -> Sample:
        config = self.config
        if num_removed:
            random = random_for("internalize", config.loop.seed, number)
            num_removed += int(random.geometric(1 - math.exp(-config.smoothing))) - 1
        return self.sample(addition(number, config.digits, config.base, held_out=False), num_removed)

    def _problems(self, num_removed: int) -> PackedRows:
        config = self.config
        problems = [addition(n, config.digits, config.base, held_out=True) for n in range(config.num_held_out)]
        return pack([self.sample(problem, num_removed) for problem in problems], config.rows.positions)
