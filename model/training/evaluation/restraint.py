"""When the agent must be silent: after an interruption, and through sounds that are no request."""

from dataclasses import dataclass, field

import msgspec
import numpy as np
from tqdm import tqdm

from model.training.data.clip import Split
from model.training.data.noise import NoiseKind
from model.training.data.seeding import random_for
from model.training.evaluation.bench import Bench
from model.training.evaluation.conduct import AFTERMATH_TICKS, after_answer, goes_on, starts, stops
from model.training.evaluation.examining import listen, speak
from model.training.evaluation.figures import AT_LEAST_85, Bar, Row, Unit, cannot, missing, rate, share
from model.training.evaluation.live import LiveUser, LostSession, Moment
from model.training.evaluation.microphone import any_surroundings
from model.training.simulation import exchanges_talk as talk
from model.training.simulation import exchanges_tasks as tasks
from model.training.simulation.facts import INTERRUPTIONS
from model.training.simulation.playwright import Exchange
from model.training.simulation.scene import Scene
from model.training.simulation.script import Sounds, UserSpeaks
from streams.types import TICK_US

LONG_ANSWERS: tuple[Exchange, ...] = (tasks.week, talk.joke, talk.abilities, talk.define)
TRIES = 5  # until the agent speaks long enough to be interrupted
MOST_HEARD_TICKS = 4  # of an answer before it is interrupted
LEAST_INTERRUPTED = 0.5  # share of exams in which the agent could be interrupted, for a figure
STRETCH_TICKS = 60  # fifteen seconds of one session
ECHO_PAUSE_TICKS = 1  # between an answer and a start that its own echo brings about
TICKS_PER_MINUTE = 60_000_000 // TICK_US
LOST = (1, 1)  # a start, a tick: a session that breaks off is no quiet one


def a_question(random: np.random.Generator, exchanges: tuple[Exchange, ...] = LONG_ANSWERS) -> UserSpeaks:
    """Something whose answer takes a few seconds."""
    lines = exchanges[int(random.integers(len(exchanges)))](Scene(Split.EVAL, random, sees=False))
    return next(line for line in lines if isinstance(line, UserSpeaks))


def ask(bench: Bench, user: LiveUser, question: UserSpeaks, number: int) -> list[Moment]:
    """Say it, and listen until its last word is over."""
    assert user.microphone is not None
    *_, last = speak(user, bench.speaker(number), question.pieces, question, number)
    return listen(user, last.last_tick + 1 - user.microphone.tick)


@dataclass
class Interruptions:
    """Somebody cuts into an answer: the agent is silent two ticks later, and for the second after that.

    Every session is held twice. First nobody cuts in: a try counts only where the agent then went on through all the
    ticks in which it is to be silent. `stopped` is None where it never spoke for so long.
    """

    bench: Bench
    count: int
    stopped: list[bool | None] = field(default_factory=list)
    title: str = "stops within two ticks of an interruption"

    def run(self) -> None:
        if not self.bench.info.hears or not self.bench.info.speaks:
            return
        for number in tqdm(range(len(self.stopped), self.count), self.title, unit="exam"):
            tries = (self._try(number, attempt) for attempt in range(TRIES))
            self.stopped.append(next((stopped for stopped in tries if stopped is not None), None))

    def _try(self, number: int, attempt: int) -> bool | None:
        """None where the agent would not have gone on speaking."""
        random = random_for("interruption", number, attempt)
        question, heard_ticks = a_question(random), int(random.integers(1, MOST_HEARD_TICKS + 1))
        words = INTERRUPTIONS[int(random.integers(len(INTERRUPTIONS)))]
        line = UserSpeaks(pieces=(words,), kind="interruption", pause_us=int(random.integers(TICK_US // 1000)) * 1000)
        name, speaker = f"interruption-{number}-{attempt}", self.bench.speaker(number)
        try:
            with self.bench.user(name, spoken=True) as user:
                ask(self.bench, user, question, number)
                begun = _begins(user, self.bench.patience.begin)
                if not begun or not goes_on(listen(user, heard_ticks + AFTERMATH_TICKS + 1), begun + heard_ticks):
                    return None
            with self.bench.user(name, spoken=True) as user:
                ask(self.bench, user, question, number)
                assert user.microphone is not None
                *_, last = listen(user, begun + heard_ticks - user.microphone.tick)
                if last.pcm is None:
                    return None  # it is not the same session
                (spoken,) = speak(user, speaker, line.pieces, line, number + 1)
                return stops(listen(user, AFTERMATH_TICKS + 1), spoken.first_tick)
        except LostSession:
            return False

    def rows(self) -> list[Row]:
        lacks = missing(self.bench.info, "hears", "speaks")
        if lacks:
            return [cannot(self.title, AT_LEAST_85, Unit.SHARE, lacks)]
        counted = [stopped for stopped in self.stopped if stopped is not None]
        remark = "" if len(counted) == len(self.stopped) else f"interrupted in {len(counted)} of {len(self.stopped)}"
        if len(counted) < LEAST_INTERRUPTED * len(self.stopped):
            return [Row(self.title, AT_LEAST_85, Unit.SHARE, remark=f"spoke too briefly: {remark}")]
        return [share(self.title, AT_LEAST_85, counted, remark=remark)]


def _begins(user: LiveUser, begin_ticks: int) -> int:
    """The tick after the one in which the agent begins to speak; 0 where it does not in time."""
    return next((moment.tick + 1 for moment in (user.tick() for _ in range(begin_ticks)) if moment.pcm is not None), 0)


@dataclass
class FalseStarts:
    """Noise and echo: how often the agent begins to say something that nobody asked for.

    Every other session is in a loud room without a request; in the others the agent answers once and hears itself
    through a loudspeaker: whatever it says after the first silent tick is a start. An agent that gives no answer has
    no echo, and one that never makes a sound has shown no restraint: there is no figure for it.
    """

    bench: Bench
    count: int
    parts: list[tuple[float, float]] = field(default_factory=list)  # (starts, minutes) of each session
    num_answered: int = 0  # sessions in which a question was answered
    title: str = "false starts per minute of noise or echo"
    judged: Bar = field(default_factory=lambda: Bar(False, 0.5, 0.1))

    def run(self) -> None:
        if not self.bench.info.hears:
            return
        for number in tqdm(range(len(self.parts), self.count), self.title, unit="session"):
            num_starts, num_ticks = self._in_noise(number) if number % 2 == 0 else self._in_echo(number)
            self.num_answered += number % 2 == 1 and num_ticks > 0
            self.parts.append((num_starts, num_ticks / TICKS_PER_MINUTE))

    def _in_noise(self, number: int) -> tuple[int, int]:
        """(starts, ticks)."""
        random = random_for("noise", number)
        kind = list(NoiseKind)[number // 2 % len(NoiseKind)]
        duration_us = (STRETCH_TICKS - 4) * TICK_US
        level_db, seed = float(random.uniform(-45, -22)), int(random.integers(2**31))
        sound = Sounds(kind=kind, pause_us=TICK_US, duration_us=duration_us, level_db=level_db, seed=seed)

        try:
            with self.bench.user(f"noise-{number}", spoken=True, room=any_surroundings(random, echo=False)) as user:
                assert user.microphone is not None
                user.microphone.sound(sound)
                moments = listen(user, STRETCH_TICKS)
        except LostSession:
            return LOST
        return starts(moments), len(moments)

    def _in_echo(self, number: int) -> tuple[int, int]:
        """(starts after the answer, ticks since it began); no ticks where there was none."""
        random = random_for("echo", number)
        surroundings = any_surroundings(random, echo=True)
        room = msgspec.structs.replace(surroundings, echo_db=float(random.uniform(-34, -28)))
        try:
            with self.bench.user(f"echo-{number}", spoken=True, room=room) as user:
                ask(self.bench, user, a_question(random), number)
                moments = listen(user, self.bench.patience.begin + STRETCH_TICKS)
        except LostSession:
            return LOST
        answer, after = after_answer(moments, self.bench.info.speaks)
        return starts(after, ECHO_PAUSE_TICKS), len(answer) + len(after)

    def rows(self) -> list[Row]:
        if not self.bench.info.hears:
            return [cannot(self.title, self.judged, Unit.PER_MINUTE, missing(self.bench.info, "hears"))]
        if not self.num_answered and not any(num_starts for num_starts, _ in self.parts):
            remark = "answered no question either" if len(self.parts) > 1 else ""
            return [Row(self.title, self.judged, Unit.PER_MINUTE, remark=remark)]
        heard = [part for part in self.parts if part[1] > 0]
        return [rate(self.title, self.judged, Unit.PER_MINUTE, heard, "sessions")]
