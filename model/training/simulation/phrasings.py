"""The manifest of phrasings: for every kind of request the ones to train on and the ones held out for evaluation.

Some kinds are asked with the same words ("What do you see?" with and without a picture), so a phrasing is held out by
its words, whatever kind it is asked for: `is_held_out` looks at finished text.
"""

import re
from dataclasses import dataclass

import numpy as np

from model.training.data.clip import Split
from model.training.data.held_out import text_split
from model.training.simulation.phrasings_senses import SENSES
from model.training.simulation.phrasings_talk import TALK
from model.training.simulation.phrasings_tasks import TASKS

_SLOT = re.compile(r"\\\{\w+\\\}")
_NOT_SPOKEN = re.compile(r"[^a-z0-9 ]+")


@dataclass(frozen=True, slots=True)
class Phrasings:
    """Templates of one kind of request; slots are in braces."""

    training: tuple[str, ...]
    held_out: tuple[str, ...]

    def of(self, split: Split) -> tuple[str, ...]:
        return self.training if split is Split.TRAIN else self.held_out


def _parsed(texts: str) -> tuple[str, ...]:
    return tuple(" ".join(text.split()) for text in texts.split("|"))


PHRASINGS: dict[str, Phrasings] = {
    kind: Phrasings(_parsed(training), _parsed(held_out))
    for kind, (training, held_out) in {**TALK, **TASKS, **SENSES}.items()
}


def spoken_words(text: str) -> str:
    """Text as its words only: case and punctuation make no request another one."""
    return " ".join(_NOT_SPOKEN.sub(" ", text.lower()).split())


def _pattern(template: str) -> str:
    """A regular expression for the spoken words of whatever a template can become."""
    slots = re.split(r"\{\w+\}", template)
    return ".+".join(re.escape(spoken_words(piece)) for piece in slots).replace(r"\ ", " ?")


_HELD_OUT = re.compile("|".join(f"(?:{_pattern(text)})" for kind in PHRASINGS.values() for text in kind.held_out))


def is_held_out(text: str) -> bool:
    """Whether a request is worded as one of the held-out phrasings."""
    return _HELD_OUT.fullmatch(spoken_words(text)) is not None


def phrase(kind: str, split: Split, random: np.random.Generator, slots: dict[str, str]) -> tuple[str, str]:
    """A request of this kind as text, and the template it was made from.

    Training text is never held out, neither here nor by speech sets (`held_out.text_split`). Raises ValueError where no
    phrasing takes these slots.
    """
    templates = PHRASINGS[kind].of(split)
    texts = []
    for template in templates:
        if set(re.findall(r"\{(\w+)\}", template)) <= slots.keys():
            text = sentence_case(template.format(**slots))
            if split is Split.EVAL or may_be_trained_on(text):
                texts.append((text, template))
    if not texts:
        raise ValueError(f"no phrasing of {kind!r} may be used with {slots}")
    return texts[int(random.integers(len(texts)))]


def may_be_trained_on(text: str) -> bool:
    """Whether a spoken line may occur in training: neither a held-out phrasing nor a held-out text."""
    return text_split(text) is Split.TRAIN and not is_held_out(text)


def sentence_case(text: str) -> str:
    """The same with a capital first."""
    return text[:1].upper() + text[1:]
