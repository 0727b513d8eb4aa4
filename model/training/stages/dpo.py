"""Stage `dpo`: of two answers to the same question, the one that people liked becomes likelier than it was.

Direct preference optimization (arXiv:2305.18290): the loss is -log sigmoid(beta x margin), where the margin is how much
more the chosen answer gained over the rejected one than a frozen reference gives it. The reference is the network as
it was when the stage began, so a resumed run has the same one.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network import Network
from model.training.batches import to_device
from model.training.chats import Pair, Parted, pair_samples, read_chats
from model.training.config import LoopConfig
from model.training.conversation import Scribe, perceiving_network
from model.training.corpus import HELD_OUT_FIRST
from model.training.forward import nll_by_sample
from model.training.language_stage import language_network, language_tokenizer, save_language
from model.training.packed_rows import PackedRows, pack
from model.training.rated import rated_pairs
from model.training.registry import Setup
from model.training.sequences import Sample
from model.training.stage import Loss
from model.training.synthetic import preference

PairOfSamples: TypeAlias = tuple[Sample, Sample]  # chosen, rejected
NUM_HELD_OUT = 32


@dataclass(frozen=True, slots=True)
class DpoConfig:
    """The options of the stage."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=300, learning_rate=5e-5, warmup_steps=20))
    pairs_per_batch: int = 8
    positions: int = 256  # of a row; a longer answer is left out
    beta: float = 0.1  # how dear it is to leave the reference
    pairs: Path | None = None  # a file of pairs
    recordings: Path | None = None  # a directory of recorded sessions with ratings; made-up pairs without either
    start: Path | None = None  # weights to go on from, and the reference: a stage's export or a checkpoint directory
    tokenizer: Path | None = None  # directory of the text tokenizer; bytes where there is none

    def __post_init__(self) -> None:
        if self.beta <= 0 or self.pairs_per_batch < 1:
            raise ValueError(f"beta and pairs_per_batch are positive, got {self.beta} and {self.pairs_per_batch}")

    def build(self, setup: Setup) -> "DpoStage":
        """Raises ValueError or OSError saying what is wrong with weights or pairs."""
        scribe = Scribe(perceiving_network(setup.model), language_tokenizer(setup.model, self.tokenizer))
        network = language_network(setup.model, self.start, self.loop.seed)
        return DpoStage(network, pairs_of(self, scribe), self, setup.device)


class DpoStage:
    """Satisfies `Stage[PackedRows]`: samples 2n and 2n + 1 of a batch are the chosen and the rejected of pair n."""

    unit = "pairs"

    def __init__(
        self,
        network: Network,
        pair_of: Callable[[int], PairOfSamples],
        config: DpoConfig,
        device: torch.device,
    ) -> None:
        self.network = network
        self.config = config
        self._pair_of = pair_of
        self._reference = copy.deepcopy(network).eval().requires_grad_(False).to(device)
        self._held_out = self._pack(range(HELD_OUT_FIRST, HELD_OUT_FIRST + NUM_HELD_OUT))

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"model": self.network}

    def batch(self, index: int) -> PackedRows:
        first = index * self.config.pairs_per_batch
        return self._pack(range(first, first + self.config.pairs_per_batch))

    def loss(self, phase: str, batch: PackedRows, step: int) -> Loss:
        margin_P = self.margins(batch)
        total = -F.logsigmoid(self.config.beta * margin_P).mean()
        return Loss(total, len(margin_P), {"margin": margin_P.mean(), "won": (margin_P > 0).float().mean()})

    def margins(self, batch: PackedRows) -> Tensor:
        """Nats by which each pair's chosen answer gained on its rejected one since the reference, [pairs]."""
        with torch.no_grad():
            reference_S = nll_by_sample(self._reference, batch)
        gain_S = reference_S - nll_by_sample(self.network, batch)
        return gain_S[0::2] - gain_S[1::2]

    def evaluate(self) -> Mapping[str, float]:
        batch = to_device(self._held_out, self.network.embedding.fuse.weight.device)
        loss = self.loss("model", batch, 0)
        return {"loss": float(loss.total), **{name: float(value) for name, value in loss.parts.items()}}

    def export(self, directory: Path) -> None:
        save_language(self.network, directory)

    def _pack(self, numbers: Sequence[int]) -> PackedRows:
        return pack([sample for number in numbers for sample in self._pair_of(number)], self.config.positions)


def pairs_of(config: DpoConfig, scribe: Scribe) -> Callable[[int], PairOfSamples]:
    """Number → pair: from files and recordings, or made up."""
    if config.pairs is None and config.recordings is None:
        return lambda number: pair_samples(scribe, _made_up(number))
    found: list[tuple[PairOfSamples, bool]] = []
    if config.pairs is not None:
        found += [(pair_samples(scribe, pair), held_out) for pair, held_out in read_chats(config.pairs, Pair)]
    if config.recordings is not None:
        found += rated_pairs(config.recordings, scribe)
    short = [(pair, held_out) for pair, held_out in found if max(map(len, pair)) <= config.positions]
    return Parted.of(short, f"pairs of at most {config.positions} positions")


def _made_up(number: int) -> Pair:
    question, chosen, rejected = preference(number)
    return Pair(turns=(question,), chosen=chosen, rejected=rejected)
