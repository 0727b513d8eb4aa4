"""A session of ten minutes: the same exams in its first minutes and in its last, and others all the time between."""

from dataclasses import dataclass, field
from functools import cached_property

from tqdm import tqdm

from model.training.data.seeding import random_for
from model.training.evaluation.bench import Bench
from model.training.evaluation.examining import perform
from model.training.evaluation.exams import KINDS, Exam, aloud, write_exam
from model.training.evaluation.figures import Bar, Row, Unit, cannot, missing, rate
from model.training.evaluation.live import LiveUser
from model.training.evaluation.marking import mark_performance
from streams.types import TICK_US

EXAMS_AT_EACH_END = 12
LEAST_AT_START = 0.5  # share of right answers
FIRST_NUMBER = 1_000  # of its exams: none that a series holds


@dataclass
class Endurance:
    """`count` exams, some to a session. `results` has a pair for each: right at the start, right at the end."""

    bench: Bench
    count: int
    minutes: float = 10.0
    results: list[tuple[bool, bool]] = field(default_factory=list)
    judged: Bar = field(default_factory=lambda: Bar(False, 0.05))

    @property
    def title(self) -> str:
        return f"loss of right answers from start to end of {self.minutes:g} minutes"

    def run(self) -> None:
        if not self.bench.info.hears:
            return
        for first in tqdm(range(len(self.results), self.count, EXAMS_AT_EACH_END), self.title, unit="session"):
            self.results += self._session(first, min(EXAMS_AT_EACH_END, self.count - first))

    def _session(self, first: int, num_exams: int) -> list[tuple[bool, bool]]:
        """Exams from number `first` on."""
        number = first // EXAMS_AT_EACH_END
        exams = [self._exam(first + place) for place in range(num_exams)]
        with self.bench.user(f"endurance-{number}", spoken=True) as user:
            assert user.microphone is not None
            at_start = [self._is_right(exam, user, number) for exam in exams]
            taken_ticks = user.microphone.tick
            until_tick = int(self.minutes * 60_000_000 / TICK_US) - taken_ticks
            place = first + num_exams
            while user.microphone.tick < until_tick and not user.lost:
                self._is_right(self._exam(place), user, number)
                place += 1
            at_end = [self._is_right(exam, user, number) for exam in exams]  # all wrong where the session is lost
        return list(zip(at_start, at_end, strict=True))

    @cached_property
    def _kinds(self) -> list[str]:
        """Those that need nothing which the weights lack, in an order that mixes talk, tasks and pictures."""
        able = [kind for kind in KINDS if not write_exam(kind, 0).lacks(self.bench.info)]
        return [able[place] for place in random_for("order of endurance").permutation(len(able))]

    def _exam(self, place: int) -> Exam:
        kind, number = self._kinds[place % len(self._kinds)], FIRST_NUMBER + place // len(self._kinds)
        return aloud(write_exam(kind, number, self.bench.emoji))

    def _is_right(self, exam: Exam, user: LiveUser, number: int) -> bool:
        performance = perform(exam, user, self.bench.speaker(number), self.bench.patience)
        return mark_performance(performance, self.bench.read_picture).right

    def rows(self) -> list[Row]:
        if not self.bench.info.hears:
            return [cannot(self.title, self.judged, Unit.SHARE, missing(self.bench.info, "hears"))]
        if not self.results:
            return [Row(self.title, self.judged, Unit.SHARE)]
        start, end = (sum(right) / len(self.results) for right in zip(*self.results, strict=True))
        if start < LEAST_AT_START:  # who knows nothing has nothing to lose
            return [Row(self.title, self.judged, Unit.SHARE, remark=f"only {start:.0%} right at the start")]
        losses = [(float(start) - float(end), 1.0) for start, end in self.results]
        return [rate(self.title, self.judged, Unit.SHARE, losses, "exams", f"{start:.0%} right, then {end:.0%}")]
