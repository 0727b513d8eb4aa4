"""Right or wrong: what an answer says, against what it had to say. Pure.

A right answer holds every key of the scripted one (`AgentSpeaks.keys`), in whatever words around it, and no rival:
another colour where a colour was asked for, another number where a number was, unless that was mentioned before. "9" is
"nine".
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from model.training.data.scenes import COLOURS, SHAPES
from model.training.data.text.numerals import cardinal
from model.training.evaluation.examining import Performance, Turn
from model.training.simulation.facts import ANIMAL_SOUNDS, CAPITALS, FAVORITES, WEEK
from model.training.simulation.pictures import THINGS, plural
from model.training.simulation.script import AgentSpeaks, Picture
from model.training.spelling import readings, spoken_letters, word_errors
from streams.types import Pixels

DICTATION_ERRORS = 1 / 3  # of the words, at most, for a dictated sentence to count as written down
REPEATED = 0.8  # of the words of the answer before, at least, for "say that again"
MUCH = 20  # the largest number of our sums

ReadPicture = Callable[[Picture, Pixels], bool]  # whether a drawing is of this


@dataclass(frozen=True, slots=True)
class Mark:
    """`why` says what is wrong, in a few words."""

    right: bool
    why: str = ""


RIGHT = Mark(True)


def plain(text: str) -> str:
    """Words in small letters, numbers as amounts, no apostrophes."""
    return spoken_letters(readings(text)[0]).replace("'", "")


def _all(words: Sequence[str]) -> frozenset[str]:
    return frozenset(plain(word) for word in words)


NUMBERS = _all([cardinal(number) for number in range(MUCH + 1)])
# Of things of one class an answer may name the right ones only. "One" is no rival: "this one" is no number.
CLASSES: tuple[frozenset[str], ...] = (
    _all(COLOURS),
    _all([*SHAPES, *(plural(shape) for shape in SHAPES)]),
    _all(THINGS),
    NUMBERS,
    _all(WEEK),
    _all(list(CAPITALS.values())),
    _all(list(ANIMAL_SOUNDS.values())),
    *(_all(items) for items in FAVORITES.values()),
)
_CLAIM = re.compile(rf"\b(?:{'|'.join(sorted(NUMBERS, key=len, reverse=True))})\b(?: is| wins)?")
_NEVER_RIVALS = frozenset({"one"})
_OPPOSED: dict[str, tuple[str, ...]] = {"yes": ("no", "not", "isnt"), "no": ("yes",)}


def holds(text: str, phrase: str) -> bool:
    """Whether plain text has this plain phrase in it, as whole words."""
    return bool(phrase) and f" {phrase} " in f" {text} "


def mark_words(keys: Sequence[str], said: str, mentioned: Sequence[str] = ()) -> Mark:
    """By keys and rivals alone. `mentioned` may come up without being wrong."""
    before = " ".join(plain(text) for text in mentioned)
    marks = [_mark_reading(keys, plain(reading), before) for reading in readings(said)]
    return next((mark for mark in marks if mark.right), marks[0])


def _mark_reading(keys: Sequence[str], text: str, before: str) -> Mark:
    if not text:
        return Mark(False, "said nothing")
    groups = [tuple(key.split("|")) for key in keys]
    for group in groups:
        if not any(_is_in(text, alternative) for alternative in group):
            return Mark(False, f"does not say {group[0]!r}")
    for rival in _rivals([tuple(plain(alternative) for alternative in group) for group in groups]):
        if holds(text, rival) and not holds(before, rival):
            return Mark(False, f"says {rival!r}")
    return RIGHT


def _is_in(text: str, alternative: str) -> bool:
    if alternative.startswith("="):
        return text == plain(alternative[1:])
    return holds(text, plain(alternative))


def _rivals(groups: Sequence[tuple[str, ...]]) -> Iterator[str]:
    wanted = " ".join(word for group in groups for word in group)
    for group in groups:
        yield from _OPPOSED.get(group[0], ())
        for members in CLASSES:
            if any(word in members or set(word.split()) <= members for word in group if word):
                yield from (rival for rival in sorted(members - _NEVER_RIVALS) if not holds(wanted, rival))


def mark_turn(turn: Turn, before: Turn | None, read: ReadPicture) -> Mark:
    """One turn. `before` is the one before it in the session."""
    expected = turn.expected
    if turn.dictated:
        errors, words = word_errors(turn.dictated, turn.said)
        return RIGHT if errors <= DICTATION_ERRORS * words else Mark(False, f"{errors} errors in {words} words")
    if expected is None:
        return Mark(False, "was not to say anything") if any(moment.says for moment in turn.moments) else RIGHT
    if expected.draws is not None:
        if turn.image is None:
            return Mark(False, "drew nothing")
        return RIGHT if read(expected.draws, turn.image) else Mark(False, "drew something else")
    if turn.kind == "say_again":
        return _mark_repetition(before.said if before is not None else "", turn.said)
    if turn.kind == "bigger":
        return _mark_comparison(turn, expected)
    return mark_words(expected.keys, turn.said, turn.mentioned)


def _mark_repetition(before: str, said: str) -> Mark:
    """What was really said before counts, be it right or wrong."""
    wanted, words = plain(before).split(), plain(said).split()
    if not wanted:
        return Mark(False, "there was nothing to repeat")
    share = sum(word in words for word in wanted) / len(wanted)
    return RIGHT if share >= REPEATED else Mark(False, f"{share:.0%} of the words came again")


def _mark_comparison(turn: Turn, expected: AgentSpeaks) -> Mark:
    """Both numbers may be named; which one is said to be something, or is named first, is the answer."""
    first = mark_words(expected.keys, turn.said, turn.mentioned)
    if not first.right:
        return first
    text = plain(turn.said)
    named = _CLAIM.findall(text)
    claims = [number for number in named if " " in number] or named
    is_right = bool(claims) and claims[0].split()[0] == plain(expected.keys[0])
    return RIGHT if is_right else Mark(False, f"says that {claims[0] if claims else 'nothing'!r}")


def mark_performance(performance: Performance, read: ReadPicture) -> Mark:
    """An exam is right where all of its turns that count are."""
    if performance.lost:
        return Mark(False, f"the session broke off: {performance.lost}")
    before: Turn | None = None
    for turn in performance.turns:
        mark = mark_turn(turn, before, read) if turn.marked else RIGHT
        if not mark.right:
            return mark
        before = turn
    return RIGHT
