"""Series of exams, aloud or typed: which are right, by kind; and how the agent behaved meanwhile."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tqdm import tqdm

from model.training.evaluation.bench import Bench
from model.training.evaluation.conduct import is_prompt, talks_over
from model.training.evaluation.drawing_reader import right_as_others, right_on_originals, taken_for_drawings
from model.training.evaluation.examining import Performance, Turn
from model.training.evaluation.exams import (
    DRAWN_KINDS,
    KINDS,
    NOT_TYPED,
    SEEN_KINDS,
    Exam,
    aloud,
    drawn_exam,
    seen_exam,
    typed,
    write_exam,
)
from model.training.evaluation.figures import AT_LEAST_85, CANNOT, Bar, Row, Unit, cannot, lacking, missing, rate, share
from model.training.evaluation.marking import Mark, mark_performance
from model.training.simulation.script import PictureKind


class Measurement(Protocol):
    """Something to measure. `run` may be cut off by Ctrl-C; `rows` tells what there is by then."""

    def run(self) -> None: ...

    def rows(self) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Marked:
    """An exam with its mark; `performance` None where the weights lack what it needs."""

    exam: Exam
    mark: Mark
    performance: Performance | None = None


@dataclass
class Series:
    """Exams in sessions of their own, and the row that says how many are right."""

    bench: Bench
    title: str
    exams: Sequence[Exam]
    spoken: bool
    judged: Bar = AT_LEAST_85
    remark: str = ""
    results: list[Marked] = field(default_factory=list)

    def run(self) -> None:
        """All that have not been held yet."""
        waiting = list(enumerate(self.exams))[len(self.results) :]
        if not waiting:
            return
        num_kinds = len({exam.kind for exam in self.exams})  # in turn: every round of them by other voices
        for number, exam in tqdm(waiting, self.title, unit="exam"):
            lacks = exam.lacks(self.bench.info)
            if lacks:
                self.results.append(Marked(exam, Mark(False, f"{CANNOT}: {' '.join(lacks)}")))
                continue
            performance = self.bench.examine(exam, self.spoken, number + number // num_kinds)
            self.results.append(Marked(exam, mark_performance(performance, self.bench.read_picture), performance))

    def rows(self) -> list[Row]:
        lacks = sorted({ability for exam in self.exams for ability in exam.lacks(self.bench.info)})
        if lacks and all(exam.lacks(self.bench.info) for exam in self.exams):
            return [cannot(self.title, self.judged, Unit.SHARE, lacking(lacks))]
        remark = self.remark
        held = [result for result in self.results if result.performance is not None]
        if lacks and held:
            right = sum(result.mark.right for result in held)
            remark = f"{right} of the {len(held)} that do not need what it lacks: {lacking(lacks)}"
        return [share(self.title, self.judged, [result.mark.right for result in self.results], remark=remark)]

    @property
    def turns(self) -> list[Turn]:
        return [turn for result in self.results if result.performance is not None for turn in result.performance.turns]


def spoken_series(bench: Bench, count: int) -> Series:
    """All kinds in turn."""
    exams = [aloud(exam) for exam in _all_kinds(bench, count, tuple(KINDS))]
    return Series(bench, "spoken request, right action or answer", exams, spoken=True)


def typed_series(bench: Bench, count: int) -> Series:
    """All kinds in turn that can be asked by typing."""
    kinds = tuple(kind for kind in KINDS if kind not in NOT_TYPED)
    exams = [typed(exam) for exam in _all_kinds(bench, count, kinds)]
    return Series(bench, "typed request, right action or answer", exams, spoken=False)


def _all_kinds(bench: Bench, count: int, kinds: Sequence[str]) -> list[Exam]:
    return [write_exam(kinds[place % len(kinds)], place // len(kinds), bench.emoji) for place in range(count)]


def seen_series(bench: Bench, count: int, spoken: bool) -> Series:
    """Colours, shapes, counts, digits and emoji in turn; without emoji where there is no book of them."""
    kinds = [kind for kind in SEEN_KINDS if kind is not PictureKind.EMOJI or bench.emoji]
    exams = [seen_exam(kinds[place % len(kinds)], place // len(kinds), bench.emoji) for place in range(count)]
    title, remark = "seen right: colour, shape, count, digit, emoji", "" if bench.emoji else "without emoji"
    return _asked(bench, title, exams, spoken, AT_LEAST_85, remark)


def drawn_series(bench: Bench, count: int, spoken: bool) -> Series:
    """Colours, shapes, counts, digits and things in turn."""
    exams = [drawn_exam(DRAWN_KINDS[place % len(DRAWN_KINDS)], place // len(DRAWN_KINDS)) for place in range(count)]
    return _asked(bench, "drawn right: colour, shape, count, digit, thing", exams, spoken, Bar(True, 0.80, 0.95), "")


def _asked(bench: Bench, title: str, exams: Sequence[Exam], spoken: bool, judged: Bar, remark: str) -> Series:
    exams = [aloud(exam) if spoken else typed(exam) for exam in exams]
    return Series(bench, f"{title}; asked {'aloud' if spoken else 'by typing'}", exams, spoken, judged, remark)


@dataclass
class JudgeOfDrawings:
    """How far the judge itself can be trusted. Measured only where something was drawn."""

    bench: Bench
    series: Sequence[Series]
    accepted: dict[str, list[bool]] = field(default_factory=dict)

    def run(self) -> None:
        if any(turn.image is not None for series in self.series for turn in series.turns) and not self.accepted:
            reader = self.bench.drawing_reader
            self.accepted = {
                "originals": right_on_originals(reader),
                "originals as other pictures": right_as_others(reader),
                "noise, halves and mixtures as anything": taken_for_drawings(reader),
            }

    def rows(self) -> list[Row]:
        return [
            share(f"the judge of drawings accepts {what}", Bar(at_least=what == "originals"), accepted, "pictures")
            for what, accepted in self.accepted.items()
        ]


@dataclass
class Conduct:
    """Whether the agent lets people finish, and answers soon: of the turns of a spoken series."""

    series: Series

    def run(self) -> None:
        if self.series.bench.info.hears:
            self.series.run()

    def rows(self) -> list[Row]:
        info = self.series.bench.info
        over = "ticks of agent speech while the user speaks"
        prompt = "answer begins within two ticks, as made (heard a tick later)"
        talking, beginning = Bar(False, 0.03, 0.01), AT_LEAST_85
        if not info.hears:
            lacks = missing(info, "hears")
            return [cannot(over, talking, Unit.SHARE, lacks), cannot(prompt, beginning, Unit.SHARE, lacks)]
        turns = [turn for turn in self.series.turns if turn.spoken]
        talked = [counted for turn in turns if (counted := talks_over(turn))[1]]
        answers = [is_prompt(turn, info.speaks) for turn in turns if turn.expected is not None]
        rows = [share(prompt, beginning, answers, "turns")]
        if not info.speaks:
            return [cannot(over, talking, Unit.SHARE, missing(info, "speaks")), *rows]
        sounded = [bool(turn.sounds) for turn in turns if turn.expected is not None]
        if 2 * sum(sounded) <= len(sounded):  # who makes no sound talks over nobody
            remark = f"sounded in {sum(sounded)} of {len(sounded)} answers"
            return [Row(over, talking, Unit.SHARE, remark=remark if sounded else ""), *rows]
        return [rate(over, talking, Unit.SHARE, talked, "turns"), *rows]


def by_kind(results: Sequence[Marked]) -> dict[str, tuple[int, int]]:
    """(right, held) of each kind of exam, in the order of their names."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for result in results:
        counts[result.exam.kind].append(result.mark.right)
    return {kind: (sum(right), len(right)) for kind, right in sorted(counts.items())}
