"""Whether the agent's speech can be understood: what a judge reads in it, against what the agent wrote beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from model.training.evaluation.figures import Bar, Row, Unit, cannot, rate
from model.training.evaluation.series import Series
from model.training.spelling import readings, spoken_letters, word_errors
from streams.types import SAMPLES_PER_TICK, Samples

ReadSpeech = Callable[[Samples], str]


@dataclass
class Voice:
    """Of the answers of a spoken series. `judge` makes what reads speech; None: there is no judge here."""

    series: Series
    judge: Callable[[], ReadSpeech] | None
    count: int
    errors: list[tuple[int, int]] = field(default_factory=list)  # (wrong, words) of each answer
    title: str = "speech against its own text, WER by the judge"

    def run(self) -> None:
        info = self.series.bench.info
        if self.judge is None or not (info.hears and info.speaks):
            return
        self.series.run()
        answers = [(turn.said, np.concatenate(turn.sounds)) for turn in self.series.turns if turn.sounds]
        read = self.judge()
        for said, pcm in tqdm(answers[len(self.errors) : self.count], self.title, unit="answer"):
            text = readings(said)[0]
            if spoken_letters(text):
                # A little silence around it, as a listener would have.
                self.errors.append(word_errors(text, read(np.pad(pcm, SAMPLES_PER_TICK))))

    def rows(self) -> list[Row]:
        info, judged = self.series.bench.info, Bar(False, 0.25, 0.10)
        lacks = [ability for ability in ("hears", "speaks") if not getattr(info, ability)]
        if lacks:
            return [cannot(self.title, judged, Unit.SHARE, ", ".join(f"no {name!r}" for name in lacks))]
        remark = "no judge: name one with --judge" if self.judge is None else ""
        return [rate(self.title, judged, Unit.SHARE, self.errors, "answers", remark)]
