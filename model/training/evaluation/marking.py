"""Right or wrong: what an answer says, against what it had to say. Pure.

A right answer holds every key of the scripted one (`AgentSpeaks.keys`), in whatever words around it, and no rival:
another colour where a colour was asked for, another number where a number was, another picture that was shown, unless
that was mentioned before. What only says the question again is no answer. "9" is "nine".
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from model.training.data.scenes import COLOURS, SHAPES
from model.training.data.text.numerals import cardinal
from model.training.evaluation.examining import Performance, Turn
from model.training.simulation.emoji import EVERYDAY
from model.training.simulation.facts import ANIMAL_SOUNDS, CAPITALS, FAVORITES, WEEK
from model.training.simulation.pictures import THINGS, plural
from model.training.simulation.script import AgentSpeaks, Picture, PictureKind
from model.training.spelling import readings, spoken_letters, word_errors
from streams.types import Pixels

DICTATION_ERRORS = 1 / 3  # of the words, at most, for a dictated sentence to count as written down
REPEATED = 0.4  # of the words of the answer before may be missing, wrong or too many in "say that again"
MOST_WORDS = 25  # of an answer to what many words answer: a long one would hold some by chance
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
# Where all words that are asked for are of one class, an answer may name no other word of it. "One" is no rival: "this
# one" is no number.
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
PICTURED = _all([*THINGS, *(name.replace("-", " ") for name in EVERYDAY)])  # a class where pictures are asked about
_NEVER_RIVALS = frozenset({"one"})
_CLAIM = re.compile(rf"\b(?:{'|'.join(sorted(NUMBERS, key=len, reverse=True))})\b(?: is| wins)?")
_NO_NUMBER = re.compile(r"\b(bigger|larger|greater|which|this|that|the) one\b|\bof the two\b(?: numbers)?")
# What many words answer: only that something of the kind is said can be asked for.
OPEN_KINDS = frozenset(
    """greeting farewell how_are_you thanks small_talk own_name abilities what_are_you hear_me favorite cannot
    check_in see_nothing define joke narrate stop_narrating transcribe stop_transcribing""".split()  # noqa: SIM905
)
_SAME_BACK = frozenset({"greeting", "farewell"})  # a greeting answers the same greeting
_LEAD_IN = re.compile(r"^(?:(?:okay|sure|yes|sorry|of course) )*(?:i|i just|as i) said (?:that )?")
_OPPOSED: dict[str, tuple[str, ...]] = {"yes": ("no", "not", "isnt"), "no": ("yes",)}


def holds(text: str, phrase: str) -> bool:
    """Whether plain text has this plain phrase in it, as whole words."""
    return bool(phrase) and f" {phrase} " in f" {text} "


def mark_words(
    keys: Sequence[str], said: str, mentioned: Sequence[str] = (), asked: str = "", shown: Sequence[Picture] = ()
) -> Mark:
    """By keys and rivals alone. `mentioned` may come up without being wrong; of what was `shown`, what keys name."""
    before = " ".join(plain(text) for text in mentioned)
    marks = [_mark_reading(keys, plain(reading), before, plain(asked), shown) for reading in readings(said)]
    return next((mark for mark in marks if mark.right), marks[0])


def _mark_reading(keys: Sequence[str], text: str, before: str, asked: str, shown: Sequence[Picture]) -> Mark:
    if not text:
        return Mark(False, "said nothing")
    if asked:
        text = " ".join(f" {text} ".replace(f" {asked} ", " ").split())
        if not text:
            return Mark(False, "only says the question again")
    groups = [tuple(key.split("|")) for key in keys]
    for group in groups:
        if not any(_is_in(text, alternative) for alternative in group):
            return Mark(False, f"does not say {group[0]!r}")
    wanted = [tuple(plain(alternative) for alternative in group) for group in groups]
    for rival in (*_rivals(wanted, bool(shown)), *_other_pictures(wanted, shown)):
        if holds(text, rival) and not holds(before, rival):
            return Mark(False, f"says {rival!r}")
    return RIGHT


def _is_in(text: str, alternative: str) -> bool:
    if alternative.startswith("="):
        return text == plain(alternative[1:])
    return holds(text, plain(alternative))


def _rivals(groups: Sequence[tuple[str, ...]], of_pictures: bool) -> Iterator[str]:
    wanted = " ".join(word for group in groups for word in group)
    for group in groups:
        yield from _OPPOSED.get(group[0], ())
        for members in (*CLASSES, PICTURED) if of_pictures else CLASSES:
            if all(word in members or set(word.split()) <= members for word in group):
                yield from (rival for rival in sorted(members - _NEVER_RIVALS) if not holds(wanted, rival))


def _other_pictures(groups: Sequence[tuple[str, ...]], shown: Sequence[Picture]) -> Iterator[str]:
    """Words of pictures that keys do not name, where they name one at all."""
    wanted = " ".join(word for group in groups for word in group)
    pictures = [_words_of(picture) for picture in shown]
    named = {word for words in pictures if any(holds(wanted, word) for word in words) for word in words}
    if named:
        yield from (word for words in pictures for word in words if word not in named | _NEVER_RIVALS)


def _words_of(picture: Picture) -> tuple[str, ...]:
    """What one would call it. Its colour does not tell it from others."""
    match picture.kind:
        case PictureKind.COUNT:
            return plain(cardinal(picture.count)), plain(picture.name), plain(plural(picture.name))
        case PictureKind.DIGIT:
            return (plain(cardinal(int(picture.name))),)
        case _:
            return (plain(picture.name),)


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
        return _mark_repetition(before, turn.said, read)
    if turn.kind in OPEN_KINDS and (num_words := len(plain(turn.said).split())) > MOST_WORDS:
        return Mark(False, f"says {num_words} words")
    if turn.kind == "bigger":
        return _mark_comparison(turn, expected)
    asked = "" if turn.kind in _SAME_BACK else turn.asked
    # Asked what changed, one may say what was there before.
    shown = turn.shown[-1:] if turn.kind == "see_changed" else turn.shown
    return mark_words(expected.keys, turn.said, turn.mentioned, asked, shown)


def _mark_repetition(before: Turn | None, said: str, read: ReadPicture) -> Mark:
    """What was really said before counts, if that was right."""
    if before is None or not plain(before.said):
        return Mark(False, "there was nothing to repeat")
    if not mark_turn(before, None, read).right:
        return Mark(False, "what was to be repeated was wrong")
    again = [plain(said), _LEAD_IN.sub("", plain(said))]
    errors, words = min(word_errors(plain(before.said), text) for text in again)
    return RIGHT if errors <= REPEATED * words else Mark(False, f"{errors} errors in {words} words")


def _mark_comparison(turn: Turn, expected: AgentSpeaks) -> Mark:
    """Both numbers may be named; which one is said to be something, or is named first, is the answer."""
    text = _NO_NUMBER.sub(r"\1", plain(turn.said))
    first = mark_words(expected.keys, text, turn.mentioned, turn.asked)
    if not first.right:
        return first
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
