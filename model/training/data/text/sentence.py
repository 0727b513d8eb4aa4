"""A sentence to speak and what kind it is; the kinds a set is mixed from."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Where a sentence comes from, by what it exercises."""

    DIALOGUE = "dialogue"
    GLOSS = "gloss"
    NUMBER = "number"
    NAME = "name"
    SPELLING = "spelling"
    COMMAND = "command"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Plain text as it is spoken: numbers in words, a capital first, punctuation at the end."""

    text: str
    kind: Kind
