"""All measures by name, in the order of the table, and what is written down of each exam."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from model.training.evaluation.bench import Bench
from model.training.evaluation.chat import Perplexity, Questions
from model.training.evaluation.compute import Compute
from model.training.evaluation.dictation import Dictation, people_dictation, synthetic_dictation
from model.training.evaluation.endurance import Endurance
from model.training.evaluation.exams import KINDS
from model.training.evaluation.figures import Row
from model.training.evaluation.floor import Floor
from model.training.evaluation.people import PeopleRequests
from model.training.evaluation.restraint import FalseStarts, Interruptions
from model.training.evaluation.series import (
    Conduct,
    JudgeOfDrawings,
    Marked,
    Measurement,
    Series,
    by_kind,
    drawn_series,
    seen_series,
    spoken_series,
    typed_series,
)
from model.training.evaluation.voice import ReadSpeech, Voice


class Measure(StrEnum):
    """What can be measured by itself."""

    SPOKEN = "spoken"
    TYPED = "typed"
    PEOPLE = "people"
    TRANSCRIPTION = "transcription"
    VOICE = "voice"
    CONDUCT = "conduct"
    INTERRUPTION = "interruption"
    FALSE_STARTS = "false_starts"
    SEEN = "seen"
    DRAWN = "drawn"
    ENDURANCE = "endurance"
    COMPUTE = "compute"
    CHAT = "chat"


# Of exams, sentences, answers, sessions or ticks.
COUNTS: Mapping[Measure, int] = {
    Measure.SPOKEN: 5 * len(KINDS),
    Measure.TYPED: 5 * len(KINDS),
    Measure.PEOPLE: 100,
    Measure.TRANSCRIPTION: 100,
    Measure.VOICE: 100,
    Measure.CONDUCT: 5 * len(KINDS),
    Measure.INTERRUPTION: 60,
    Measure.FALSE_STARTS: 80,
    Measure.SEEN: 100,
    Measure.DRAWN: 100,
    Measure.ENDURANCE: 24,
    Measure.COMPUTE: 800,
    Measure.CHAT: 40,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """`count` replaces every number of `COUNTS`. `minutes` is how long an endurance session lasts."""

    weights: Path
    text: Path
    data: Path
    count: int | None = None
    minutes: float = 10.0
    people: Path | None = None
    judge: Callable[[], ReadSpeech] | None = None
    reference: Path | None = None
    load_reference: Callable[[], Bench] | None = None

    def number(self, measure: Measure) -> int:
        return COUNTS[measure] if self.count is None else self.count


def measurements(bench: Bench, plan: Plan, wanted: Sequence[Measure]) -> list[Measurement]:
    """Those that are wanted, in the order of the table. Measures that look at the same sessions share them."""
    number = plan.number
    shared = (Measure.SPOKEN, Measure.CONDUCT, Measure.VOICE)
    spoken = spoken_series(bench, max([number(measure) for measure in shared if measure in wanted], default=0))
    seen = [seen_series(bench, number(Measure.SEEN), spoken=aloud) for aloud in (True, False)]
    drawn = [drawn_series(bench, number(Measure.DRAWN), spoken=aloud) for aloud in (True, False)]
    typed = typed_series(bench, number(Measure.TYPED))
    drawing = [series for series, measure in ((spoken, Measure.SPOKEN), (typed, Measure.TYPED)) if measure in wanted]
    drawing += drawn if Measure.DRAWN in wanted else []
    makers: dict[Measure, Callable[[], list[Measurement]]] = {
        Measure.SPOKEN: lambda: [spoken, Floor(spoken)],
        Measure.TYPED: lambda: [typed, Floor(typed)],
        Measure.PEOPLE: lambda: [
            PeopleRequests(bench, plan.people, number(Measure.PEOPLE)),
            people_dictation(bench, plan.data, number(Measure.PEOPLE)),
        ],
        Measure.TRANSCRIPTION: lambda: [synthetic_dictation(bench, number(Measure.TRANSCRIPTION))],
        Measure.VOICE: lambda: [Voice(spoken, plan.judge, number(Measure.VOICE))],
        Measure.CONDUCT: lambda: [Conduct(spoken)],
        Measure.INTERRUPTION: lambda: [Interruptions(bench, number(Measure.INTERRUPTION))],
        Measure.FALSE_STARTS: lambda: [FalseStarts(bench, number(Measure.FALSE_STARTS))],
        Measure.SEEN: lambda: [*seen],
        Measure.DRAWN: lambda: [*drawn],
        Measure.ENDURANCE: lambda: [Endurance(bench, number(Measure.ENDURANCE), plan.minutes)],
        Measure.COMPUTE: lambda: [Compute(bench, number(Measure.COMPUTE))],
        Measure.CHAT: lambda: [
            Perplexity(plan.weights, plan.text, plan.reference),
            Questions(bench, plan.load_reference, number(Measure.CHAT)),
        ],
    }
    found = [measurement for measure in Measure if measure in wanted for measurement in makers[measure]()]
    return [*found, JudgeOfDrawings(bench, drawing)] if drawing else found


def all_rows(measured: Sequence[Measurement]) -> list[Row]:
    return [row for measurement in measured for row in measurement.rows()]


# --- what is kept of each exam --------------------------------------------------------------------------------------


def kinds_table(measured: Sequence[Measurement]) -> str:
    """How many exams of each kind are right, for every series."""
    lines: list[str] = []
    for measurement in measured:
        if isinstance(measurement, Series) and measurement.results:
            lines += [f"### {measurement.title}", "", "| kind | right | of |", "|---|---|---|"]
            lines += [f"| {kind} | {right} | {held} |" for kind, (right, held) in by_kind(measurement.results).items()]
            lines.append("")
    return "\n".join(lines)


def transcripts(measured: Sequence[Measurement]) -> Iterator[bytes]:
    """A line of JSON for each exam, dictated sentence and question: what was asked, what came back, and the mark."""
    for measurement in measured:
        if isinstance(measurement, Series):
            for result in measurement.results:
                yield msgspec.json.encode({"measure": measurement.title, **_exam_record(result)})
        elif isinstance(measurement, Dictation):
            for text, written in measurement.written:
                yield msgspec.json.encode({"measure": measurement.title, "asked": text, "said": written})
        elif isinstance(measurement, Questions):
            for question, said, mark in measurement.answers:
                record = {"measure": measurement.title, "asked": question, "said": said, "right": mark.right}
                yield msgspec.json.encode({**record, "why": mark.why})


def _exam_record(result: Marked) -> dict[str, object]:
    performance = result.performance
    record: dict[str, object] = {"exam": result.exam.name, "right": result.mark.right, "why": result.mark.why}
    if performance is not None:
        record["voice"] = performance.voice
        record["turns"] = [
            {
                "asked": turn.dictated or turn.asked,
                "expected": turn.expected.text if turn.expected is not None else "",
                "said": turn.said,
                "sound_ticks": len(turn.sounds),
                "drew": turn.image is not None,
            }
            for turn in performance.turns
        ]
    return record
