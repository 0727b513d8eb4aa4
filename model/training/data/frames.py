"""Labelled camera frames: drawn scenes and familiar pictures on cards, and what can be asked about each.

`frame(index, seed, familiar, side_px)` is a function of its arguments alone. A label is the answer to a `Question`;
questions that make no sense for a frame have none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from model.training.data.compose import shown
from model.training.data.named_pictures import FAMILIAR, NamedPicture, subject_of
from model.training.data.scenes import COLOURS, MAX_COUNT, SHAPES, WORDS, SceneKind, scene
from model.training.data.seeding import random_for
from model.training.data.webcam import empty_room, filmed

CARD_PX = 128
EMPTY_SHARE, PICTURE_SHARE = 0.04, 0.26  # of all frames; the rest are scenes
DIRECT_SHARE = 0.25  # of cards that fill the frame undisturbed, as a shared screen or an upload does
PICTURE, NOTHING = "picture", "nothing"


class Question(StrEnum):
    KIND = "kind"
    COLOUR = "colour"
    SHAPE = "shape"
    COUNT = "count"
    DIGIT = "digit"
    LETTER = "letter"
    WORD = "word"
    PICTURE = "picture"


ANSWERS: Mapping[Question, tuple[str, ...]] = {
    Question.KIND: (*SceneKind, PICTURE, NOTHING),
    Question.COLOUR: COLOURS,
    Question.SHAPE: tuple(SHAPES),
    Question.COUNT: tuple(str(number) for number in range(1, MAX_COUNT + 1)),
    Question.DIGIT: tuple(str(number) for number in range(10)),
    Question.LETTER: tuple(chr(ord("A") + number) for number in range(26)),
    Question.WORD: WORDS,
    Question.PICTURE: FAMILIAR,
}
NO_ANSWER = -100  # what torch's losses leave out


@dataclass(frozen=True, slots=True)
class Frame:
    """`rgb` is uint8 [side, side, 3]; `answers` holds those questions that have one."""

    rgb: NDArray[np.uint8]
    answers: Mapping[Question, str]

    def labels(self) -> list[int]:
        """The number of each question's answer, in the order of `Question`; `NO_ANSWER` where there is none."""
        return [
            ANSWERS[question].index(self.answers[question]) if question in self.answers else NO_ANSWER
            for question in Question
        ]


def frame(index: int, seed: int, familiar: Sequence[NamedPicture], side_px: int) -> Frame:
    """Frame number `index` of the series `seed`. `familiar` may be empty: then there are scenes only."""
    random = random_for("frame", seed, index)
    kind = random.random()
    if kind < EMPTY_SHARE:
        return Frame(empty_room(side_px, random), {Question.KIND: NOTHING})
    if familiar and kind < EMPTY_SHARE + PICTURE_SHARE:
        subject = FAMILIAR[random.integers(len(FAMILIAR))]
        renderings = [picture for picture in familiar if subject_of(picture.name) == subject]
        if not renderings:
            raise ValueError(f"there is no picture of {subject!r} among the {len(familiar)} familiar ones")
        return _picture_frame(renderings[random.integers(len(renderings))], side_px, random)
    drawn = scene(index, seed, CARD_PX)
    answers = {Question.KIND: drawn.kind.value, Question.COLOUR: drawn.colour}
    if drawn.shape is not None:
        answers |= {Question.SHAPE: drawn.shape.value, Question.COUNT: str(drawn.count)}
    else:
        answers[Question(drawn.kind.value)] = drawn.text.lower() if drawn.kind is SceneKind.WORD else drawn.text
    return Frame(_seen(drawn.rgb, side_px, random), answers)


def picture_frame(picture: NamedPicture, index: int, seed: int, side_px: int) -> Frame:
    """A frame in which this familiar picture is held up."""
    return _picture_frame(picture, side_px, random_for("picture_frame", seed, index))


def familiar_pictures(pictures: Sequence[NamedPicture]) -> tuple[list[NamedPicture], list[NamedPicture]]:
    """Familiar pictures to learn from, and renderings kept for evaluation: every second subject's flat style."""
    seen: list[NamedPicture] = []
    unseen: list[NamedPicture] = []
    numbers = {subject: number for number, subject in enumerate(FAMILIAR)}
    for picture in pictures:
        number = numbers.get(subject_of(picture.name))
        if number is not None:
            (unseen if picture.style == "flat" and number % 2 else seen).append(picture)
    return seen, unseen


def _picture_frame(picture: NamedPicture, side_px: int, random: np.random.Generator) -> Frame:
    answers = {Question.KIND: PICTURE, Question.PICTURE: subject_of(picture.name)}
    return Frame(_seen(shown(picture.rgba, CARD_PX), side_px, random), answers)


def _seen(card: NDArray[np.uint8], side_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    if random.random() < DIRECT_SHARE:
        return cv2.resize(card, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return filmed(card, side_px, random)
