"""Stage `instruct`: conversations as they are served, of which the model learns its own part.

What the model produces has source flag 1, and the loss is on those positions' draws only. Turns, ticks and places are
those of the engine (`model/training/conversation.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from model.training.chats import Chat, Parted, chat_sample, read_chats
from model.training.config import LoopConfig
from model.training.conversation import Scribe, perceiving_network
from model.training.language_stage import LanguageStage, held_out_rows, language_network, language_tokenizer
from model.training.packed_rows import RowsConfig
from model.training.registry import Setup
from model.training.sequences import Sample
from model.training.synthetic import animal_question


@dataclass(frozen=True, slots=True)
class InstructConfig:
    """The options of the stage."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(learning_rate=1e-3))
    rows: RowsConfig = field(default_factory=RowsConfig)
    chats: Path | None = None  # a file of chats; made-up questions without
    start: Path | None = None  # weights to go on from: a stage's export or a checkpoint directory
    tokenizer: Path | None = None  # directory of the text tokenizer; bytes where there is none
    silence_weight: float = 0.3  # of the audio head's No Output while the model writes; 0 where it never speaks

    def build(self, setup: Setup) -> LanguageStage:
        """Raises ValueError or OSError saying what is wrong with weights or chats."""
        chat_of = chats_of(self.chats)
        scribe = Scribe(perceiving_network(setup.model), language_tokenizer(setup.model, self.tokenizer))
        silence_weight = self.silence_weight if setup.model.abilities.speaks else 0.0

        def sample_of(number: int) -> Sample:
            return chat_sample(scribe, chat_of(number), silence_weight)

        network = language_network(setup.model, self.start, self.loop.seed)
        return LanguageStage(network, sample_of, held_out_rows(sample_of, self.rows), self.rows)


def chats_of(path: Path | None) -> Callable[[int], Chat]:
    """Number → chat: of a file, or made up."""
    if path is None:
        return lambda number: Chat(turns=animal_question(number))
    return Parted.of(read_chats(path, Chat), f"chats in {path}")
