"""Typed chat as it was before a model learned to talk live: perplexity on a fixed text, and a fixed set of questions.

Perplexity goes through the embedding that serves, so position, time and source take part as they do in a session, and
in shorter windows than those of `scripts/perplexity.py`: compare figures of this command with each other only. Whatever
backend serves, the weights are dequantized for it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from model.backends import Backend, install, text_head
from model.checkpoint import load_checkpoint
from model.config import ModelConfig
from model.loading import load_tokenizer
from model.network import Network
from model.training.evaluation.bench import Bench
from model.training.evaluation.examining import until_answered
from model.training.evaluation.figures import Bar, Row, Unit, rate, share
from model.training.evaluation.intervals import bootstrap, ratio_of
from model.training.evaluation.live import LostSession
from model.training.evaluation.marking import Mark, mark_words
from model.training.evaluation.questions import QUESTIONS
from streams.types import Source, Stream, TokenBlock

CONTEXT = 512  # tokens of a window; each is foreseen from those before it
PART = 64  # tokens that are drawn together when bounds are worked out
FIRST_TOKEN = "<|endoftext|>"  # separates documents in the text that the imported weights were trained on
NO_WORSE = 0.10  # share that a figure may be worse than the reference's

Parts = list[tuple[float, float]]  # (nats, tokens) of stretches of a text


@torch.inference_mode()
def text_losses(weights: Path, text: str) -> Iterator[tuple[float, float]]:
    """Nats and tokens, stretch by stretch. Raises ValueError or OSError for weights that cannot be loaded."""
    checkpoint = load_checkpoint(weights)
    config = ModelConfig.from_json(checkpoint.model)
    tokenizer = load_tokenizer(weights, config)
    network = Network(config)
    network.init(checkpoint.init_seed)
    install(network, checkpoint.tensors, Backend.DEQUANTIZED)
    network.prepare_for_inference()
    head = text_head(network, checkpoint.tensors, Backend.DEQUANTIZED, None)
    assert network.decoder is not None, "built with one"
    try:
        first = [tokenizer.special(FIRST_TOKEN)]
    except ValueError:
        first = []  # a tokenizer of bytes has none
    ids = [*first, *tokenizer.encode(text)]
    for start in range(0, len(ids) - 1, CONTEXT):
        window = ids[start : start + CONTEXT + 1]
        received = np.asarray(window[:-1], np.int32)
        block = TokenBlock(Stream.TEXT_IN, Source.RECEIVED, 0, 0, ids=received)
        x_TD = network.embedding.embed_block(block)
        hidden_TD = network.decoder(x_TD[None], torch.arange(len(received))[None])[0]
        for rows_N in torch.arange(len(received)).split(PART):
            logits_NV: Tensor = head(hidden_TD[rows_N]).float()
            wanted_N = torch.tensor(window)[rows_N + 1]
            yield float(F.cross_entropy(logits_NV, wanted_N, reduction="sum")), float(len(rows_N))


@dataclass
class Perplexity:
    """`reference` are weights to compare with."""

    weights: Path
    text: Path
    reference: Path | None = None
    losses: dict[Path, Parts] = field(default_factory=dict)

    def run(self) -> None:
        text = self.text.read_text(encoding="utf-8")
        for weights in (self.weights, self.reference):
            if weights is not None and weights not in self.losses:
                name = f"perplexity of {weights.name}"
                self.losses[weights] = list(tqdm(text_losses(weights, text), name, unit="stretch"))

    def rows(self) -> list[Row]:
        title = "typed chat: perplexity on the fixed text"
        rows = [_perplexity_row(f"{title}, weights dequantized", self.losses.get(self.weights, []))]
        if self.reference is None:
            return rows
        against, ours, theirs = self._against(), self.losses.get(self.weights), self.losses.get(self.reference)
        if not ours or not theirs:
            return [*rows, Row(f"{title} / reference", against, Unit.RATIO)]
        if len(ours) != len(theirs):
            ratio = math.exp(ratio_of(ours) - ratio_of(theirs))
            return [*rows, Row(f"{title} / reference", against, Unit.RATIO, ratio, remark="of other tokens")]
        differences = [(a[0] - b[0], a[1]) for a, b in zip(ours, theirs, strict=True)]
        low, high = (math.exp(bound) for bound in bootstrap(differences))
        ratio = math.exp(ratio_of(differences))
        return [*rows, Row(f"{title} / reference", against, Unit.RATIO, ratio, low, high, len(ours), "stretches")]

    def _against(self) -> Bar:
        return Bar(at_least=False, bar=1 + NO_WORSE)


def _perplexity_row(title: str, parts: Parts) -> Row:
    if not parts:
        return Row(title, Bar(False), Unit.PLAIN)
    low, high = (math.exp(bound) for bound in bootstrap(parts))
    return Row(title, Bar(False), Unit.PLAIN, math.exp(ratio_of(parts)), low, high, len(parts), "stretches")


@dataclass
class Questions:
    """The fixed questions, each typed in a session of its own, here and to the weights to compare with."""

    bench: Bench
    reference: Callable[[], Bench] | None = None
    count: int = len(QUESTIONS)
    title: str = "typed chat: fixed questions right"
    answers: list[tuple[str, str, Mark]] = field(default_factory=list)
    reference_marks: list[Mark] = field(default_factory=list)

    def run(self) -> None:
        asked = QUESTIONS[: self.count]
        for question, keys in tqdm(asked[len(self.answers) :], self.title, unit="question"):
            said = ask_typed(self.bench, question)
            self.answers.append((question, said, mark_words(keys, said, (question,), question)))
        if self.reference is not None and len(self.reference_marks) < len(asked):
            bench = self.reference()
            for question, keys in tqdm(asked[len(self.reference_marks) :], "the same, reference", unit="question"):
                self.reference_marks.append(mark_words(keys, ask_typed(bench, question), (question,), question))

    def rows(self) -> list[Row]:
        rows = [share(self.title, Bar(at_least=True), [mark.right for _, _, mark in self.answers], "questions")]
        if self.reference is None:
            return rows
        pairs = zip(self.answers, self.reference_marks, strict=False)
        parts = [(float(ours[2].right), float(theirs.right)) for ours, theirs in pairs]
        against = Bar(at_least=True, bar=1 - NO_WORSE)
        remark = "" if any(mark.right for mark in self.reference_marks) else "the reference has none right"
        return [*rows, rate(f"{self.title} / reference", against, Unit.RATIO, parts, "questions", remark)]


def ask_typed(bench: Bench, question: str) -> str:
    """The answer to one typed line; "" where the session broke off."""
    try:
        with bench.user(f"question {question}", spoken=False) as user:
            user.tick()  # nobody types before a session has begun
            user.type(question)
            return "".join(moment.text for moment in until_answered(user, bench.patience))
    except LostSession:
        return ""
