"""An engine that is no model: it hears how loud it is, waits for its cue, and says what it was told to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

import numpy as np

from model.training.evaluation.exams import Exam
from model.training.simulation.pictures import by_hand
from model.training.simulation.script import AgentSpeaks, UserShows, UserSpeaks, UserTypes, Waits
from streams.types import (
    SAMPLES_PER_TICK,
    EngineInfo,
    Finish,
    Pixels,
    Respond,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
)

ABLE = EngineInfo("told", 1, 8, "w", "b", "none", True, True, True, True, True)
LOUD = 0.008
TONE = (0.1 * np.sin(2 * np.pi * 220 * np.arange(SAMPLES_PER_TICK) / 24_000)).astype(np.float32)


class Cue(Enum):
    HEARD = auto()  # somebody spoke and is done
    TYPED = auto()
    SHOWN = auto()
    WAITED = auto()
    AT_ONCE = auto()  # as soon as somebody speaks


@dataclass(frozen=True)
class Line:
    cue: Cue
    text: str
    image: Pixels | None = None
    sound_ticks: int = 2


class ToldAgent:
    """Satisfies `Engine`. Says `lines` one after another, each `delay` ticks after its cue."""

    def __init__(
        self,
        lines: Sequence[Line],
        delay: int = 1,
        info: EngineInfo = ABLE,
        stops: bool = True,
        fails_at: int | None = None,
    ) -> None:
        self.info = info
        self.windows: list[TickWindow] = []
        self._lines = list(lines)
        self._delay = delay
        self._stops = stops
        self._fails_at = fails_at
        self.opened: list[str] = []

    def open(self, session: str, seed: int) -> None:
        self.opened.append(session)
        self._heard = False
        self._still = 0  # ticks without anything loud, or without a word of ours
        self._queue: list[TickOutput] = []
        self._response: str | None = None

    def close(self, session: str) -> None:
        assert session == self.opened[-1]

    def encode(self, windows: Sequence[TickWindow]) -> list[TickInput | TickFailure]:
        self.windows += windows
        return [TickInput(window.session, window.tick) for window in windows]

    def step(self, inputs: Sequence[TickInput]) -> Iterator[TickOutput | TickFailure]:
        window = self.windows[-1]
        if self._fails_at is not None and len(self.windows) > self._fails_at:
            yield TickFailure(window.session, window.tick, "told to fail")
            return
        self._perceive(window)
        output = self._queue.pop(0) if self._queue else TickOutput("", 0, done=True)
        if output.pcm is not None:
            yield TickOutput(window.session, window.tick, done=False, response=output.response, pcm=output.pcm)
        yield replace(output, session=window.session, tick=window.tick, pcm=None)

    def _perceive(self, window: TickWindow) -> None:
        is_loud = window.audio is not None and float(np.sqrt(np.mean(np.square(window.audio)))) > LOUD
        asked = [command for command in window.commands if isinstance(command, Respond)]
        self._still = 0 if is_loud or self._queue else self._still + 1
        self._heard = self._heard or is_loud
        if is_loud and self._stops:
            self._queue.clear()
        if not self._lines or self._queue:
            return
        line = self._lines[0]
        due = {
            Cue.HEARD: self._heard and self._still == self._delay,
            Cue.TYPED: bool(asked),
            Cue.SHOWN: bool(window.frames) and self._still >= 12,
            Cue.WAITED: self._still >= 30,
            Cue.AT_ONCE: is_loud,
        }
        if due[line.cue]:
            self._heard = False
            self._say(self._lines.pop(0), asked[0].response if asked else None)

    def _say(self, line: Line, response: str | None) -> None:
        """Text first, then sound, then a picture."""
        speaks = response is None and self.info.speaks
        self._queue = [TickOutput("", 0, done=True, response=response, text=line.text)]
        if speaks:
            self._queue += [TickOutput("", 0, done=True, response=response, pcm=TONE)] * line.sound_ticks
        if line.image is not None:
            self._queue.append(TickOutput("", 0, done=True, response=response, image=line.image))
        if response is not None:
            self._queue[-1] = replace(self._queue[-1], finish=Finish.STOP)


def right_lines(exam: Exam) -> list[Line]:
    """What a good agent does in an exam."""
    lines: list[Line] = []
    cue = Cue.HEARD
    for line in (*exam.setup, *exam.lines):
        match line:
            case UserSpeaks() if line.transcribed:
                lines.append(Line(Cue.HEARD, line.text, sound_ticks=0))
            case UserSpeaks():
                cue = Cue.HEARD
            case UserTypes():
                cue = Cue.TYPED
            case UserShows():
                cue = Cue.SHOWN
            case Waits():
                cue = Cue.WAITED
            case AgentSpeaks():
                lines.append(Line(cue, line.text, by_hand(line.draws) if line.draws is not None else None))
    return lines
