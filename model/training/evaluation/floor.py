"""What an agent would score that never listened: one fixed text in answer to everything, or the question said back.

A figure of a series means something only as far as it is above this. Nothing is spoken, and no engine takes part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from model.training.evaluation.examining import Patience, perform
from model.training.evaluation.exams import NOT_TYPED, Exam, typed
from model.training.evaluation.figures import Bar, Row, share
from model.training.evaluation.live import LiveUser, Moment
from model.training.evaluation.marking import MOST_WORDS, OPEN_KINDS, mark_performance
from model.training.evaluation.series import Series
from model.training.evaluation.voices import KeptCast, Speaker
from model.training.simulation.script import AgentSpeaks, Picture
from streams.types import Pixels

FIXED_TEXTS = ("Okay.", "Yes.", "No.", "I don't know, sorry.", "Hello! How can I help you?", "I see. Tell me more.")


class _Deaf:
    """Stands in for a `LiveUser` whose agent answers every typed line at once, in a way that takes no listening."""

    microphone = None
    is_answered = True

    def __init__(self, answer: Callable[[str], str]) -> None:
        self._answer = answer
        self._text = ""
        self._tick = 0

    def type(self, text: str) -> None:
        self._text = self._answer(text)

    def tick(self) -> Moment:
        moment = Moment(self._tick, False, self._text)
        self._text, self._tick = "", self._tick + 1
        return moment

    def show(self, picture: Picture | None) -> None:
        """Seen by nobody."""

    def give_up(self) -> None:
        """There is nothing to wait for."""


@dataclass
class Floor:
    """The best of several fixed texts, and the echo, in those exams of a series that were held and can be typed."""

    series: Series
    fixed: list[bool] = field(default_factory=list)
    echoed: list[bool] = field(default_factory=list)
    text: str = ""  # the best one

    def run(self) -> None:
        held = [result.exam for result in self.series.results if result.performance is not None]
        exams = [typed(exam) for exam in held if exam.kind not in NOT_TYPED]
        if self.fixed or not exams:
            return
        for text in (*FIXED_TEXTS, something_of_everything(exams)):
            right = [is_passed_by(exam, lambda _, text=text: text) for exam in exams]
            if sum(right) > sum(self.fixed) or not self.fixed:
                self.fixed, self.text = right, text
        self.echoed = [is_passed_by(exam, lambda asked: asked) for exam in exams]

    def rows(self) -> list[Row]:
        title, judged = f"floor of: {self.series.title}", Bar(at_least=True)
        fixed = share(f"{title}; one text for everything", judged, self.fixed, remark=f"{len(self.text.split())} words")
        return [fixed, share(f"{title}; the question said back", judged, self.echoed)] if self.fixed else []


def is_passed_by(exam: Exam, answer: Callable[[str], str]) -> bool:
    """Whether a typed exam is passed by answers that are made of its requests alone."""
    user = cast(LiveUser, _Deaf(answer))
    performance = perform(exam, user, Speaker(cast(KeptCast, None), ""), Patience(begin=1, silence=1, drawing=0))
    return mark_performance(performance, _never).right


def something_of_everything(exams: Sequence[Exam]) -> str:
    """The shortest word for every kind that many words answer, as many as an answer may have."""
    words: dict[str, str] = {}
    for exam in exams:
        answers = [line for line in exam.lines if isinstance(line, AgentSpeaks) and line.keys]
        if exam.kind in OPEN_KINDS and answers:
            words.setdefault(exam.kind, min(answers[0].keys[0].split("|"), key=lambda key: (len(key.split()), key)))
    kept: list[str] = []
    for phrase in sorted(words.values(), key=lambda phrase: len(phrase.split())):
        if len(" ".join((*kept, phrase)).split()) <= MOST_WORDS and not phrase.startswith("="):
            kept.append(phrase)
    return ". ".join(kept) + "."


def _never(picture: Picture, rgb: Pixels) -> bool:
    raise AssertionError("nothing is drawn here")
