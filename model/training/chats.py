"""Conversations to learn from: typed chats and preference pairs, made up or from files with one JSON object a line.

    {"instructions": "...", "turns": ["what the user says", "what the model answers", ...]}
    {"instructions": "...", "turns": ["what the user says", ...], "chosen": "...", "rejected": "..."}

Turns alternate and begin with the user's; a chat ends with the model's, a pair's with the user's. `instructions` may be
left out. One line in fifty is held out, by what it says.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from model.training.conversation import Exchange, Reply, Scribe
from model.training.corpus import HELD_OUT_FIRST
from model.training.data.seeding import random_for
from model.training.sequences import Sample
from streams.types import Message, Role

HELD_OUT_ONE_IN = 50


class Chat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole conversation."""

    turns: tuple[str, ...]
    instructions: str = ""

    def __post_init__(self) -> None:
        if not self.turns or len(self.turns) % 2:
            raise ValueError(f"a chat ends with an answer, so it has an even number of turns, not {len(self.turns)}")


class Pair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversation up to a question, and two answers of which one was liked better."""

    turns: tuple[str, ...]
    chosen: str
    rejected: str
    instructions: str = ""

    def __post_init__(self) -> None:
        if len(self.turns) % 2 == 0:
            raise ValueError(f"a pair ends with a question, so it has an odd number of turns, not {len(self.turns)}")


ChatT = TypeVar("ChatT", Chat, Pair)


AnyT = TypeVar("AnyT")


@dataclass(frozen=True, slots=True)
class Parted(Generic[AnyT]):
    """Items by number: those to learn from, and the held-out ones from `HELD_OUT_FIRST` on."""

    learned: tuple[AnyT, ...]
    held_out: tuple[AnyT, ...]

    @staticmethod
    def of(items: Iterable[tuple[AnyT, bool]], what: str) -> "Parted[AnyT]":
        """Items with whether each is held out; one at least is. Raises ValueError where there are not two."""
        kept: dict[bool, list[AnyT]] = {False: [], True: []}
        for item, is_held_out in items:
            kept[is_held_out].append(item)
        for wanted in (False, True):
            if not kept[wanted] and len(kept[not wanted]) > 1:
                kept[wanted].append(kept[not wanted].pop())  # chance left none
        if not kept[False] or not kept[True]:
            raise ValueError(f"found {len(kept[False]) + len(kept[True])} {what}; it takes two")
        return Parted(tuple(kept[False]), tuple(kept[True]))

    def __call__(self, number: int) -> AnyT:
        items = self.held_out if number >= HELD_OUT_FIRST else self.learned
        return items[int(random_for("parted", number).integers(len(items)))]


def read_chats(path: Path, kind: type[ChatT]) -> Iterator[tuple[ChatT, bool]]:
    """The lines of a file, and whether each is held out. Raises ValueError naming a line that is none."""
    for text, chat in _lines(path, kind):
        digest = blake2b(text.encode(), digest_size=8).digest()
        yield chat, int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0


def _lines(path: Path, kind: type[ChatT]) -> Iterator[tuple[str, ChatT]]:
    decoder = msgspec.json.Decoder(kind)
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield line.strip(), decoder.decode(line)
            except msgspec.DecodeError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error


# --- as samples -----------------------------------------------------------------------------------------------------


def chat_sample(scribe: Scribe, chat: Chat, silence_weight: float = 0.0) -> Sample:
    """All of the model's turns are learned."""
    return scribe.write(_prefix(chat.instructions), _exchanges(scribe, chat.turns, 1.0), silence_weight)


def pair_samples(scribe: Scribe, pair: Pair) -> tuple[Sample, Sample]:
    """Chosen and rejected: the same conversation up to the last answer, the only one that counts."""
    told = _exchanges(scribe, pair.turns[:-1], 0.0)
    chosen, rejected = (
        scribe.write(_prefix(pair.instructions), [*told, *_exchanges(scribe, (pair.turns[-1], answer), 1.0)])
        for answer in (pair.chosen, pair.rejected)
    )
    return chosen, rejected


def _prefix(instructions: str) -> tuple[Message, ...]:
    return (Message(0, Role.SYSTEM, (instructions,)),) if instructions else ()


def _exchanges(scribe: Scribe, turns: tuple[str, ...], weight: float) -> list[Exchange]:
    return [
        Exchange((Message(0, Role.USER, (asked,)),), Reply(tuple(scribe.tokenizer.encode(said)), weight=weight))
        for asked, said in zip(turns[::2], turns[1::2], strict=True)
    ]
