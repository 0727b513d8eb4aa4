"""Whether the agent's speech can be understood: what a judge reads in it, against what the agent wrote beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from model.training.evaluation.figures import Bar, Row, Unit, cannot, missing, rate
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
    num_sounded: int = 0
    title: str = "speech against its own text, WER by the judge"

    def run(self) -> None:
        info = self.series.bench.info
        if self.judge is None or not (info.hears and info.speaks):
            return
        self.series.run()
        answers = [turn for turn in self.series.turns if turn.spoken and turn.expected is not None]
        answers = [turn for turn in answers if turn.said.strip() or turn.sounds]
        read = self.judge()
        for turn in tqdm(answers[len(self.errors) : self.count], self.title, unit="answer"):
            self.errors.append(spoken_errors(turn.said, turn.sounds, read))
            self.num_sounded += bool(turn.sounds)

    def rows(self) -> list[Row]:
        info, judged = self.series.bench.info, Bar(False, 0.25, 0.10)
        lacks = missing(info, "hears", "speaks")
        if lacks:
            return [cannot(self.title, judged, Unit.SHARE, lacks)]
        remark = f"{self.num_sounded} of {len(self.errors)} answers sounded" if self.errors else ""
        if self.judge is None:
            remark = "no judge: name one with --judge"
        return [rate(self.title, judged, Unit.SHARE, self.errors, "answers", remark)]


def spoken_errors(said: str, sounds: Sequence[Samples], read: ReadSpeech) -> tuple[int, int]:
    """(wrong, words) of one answer. What was written and not spoken is all wrong, and so is sound without words."""
    text = readings(said)[0]
    num_words = len(spoken_letters(text).split())
    if not sounds:
        return num_words, num_words
    heard = read(np.pad(np.concatenate(sounds), SAMPLES_PER_TICK))  # with the silence that a listener would have
    if not num_words:
        num_heard = max(len(spoken_letters(heard).split()), 1)
        return num_heard, num_heard
    return word_errors(text, heard)
