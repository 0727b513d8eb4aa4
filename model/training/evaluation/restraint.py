"""When the agent must be silent: after an interruption, and through sounds that are no request."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
from tqdm import tqdm

from model.training.data.clip import Split
from model.training.data.noise import NoiseKind
from model.training.data.seeding import random_for
from model.training.evaluation.bench import Bench
from model.training.evaluation.conduct import AFTERMATH_TICKS, starts, stops
from model.training.evaluation.examining import listen, speak, until_answered
from model.training.evaluation.figures import AT_LEAST_85, Bar, Row, Unit, cannot, rate, share
from model.training.evaluation.live import LiveUser, LostSession, Moment
from model.training.evaluation.microphone import any_surroundings
from model.training.simulation import exchanges_talk as talk
from model.training.simulation import exchanges_tasks as tasks
from model.training.simulation.facts import INTERRUPTIONS
from model.training.simulation.playwright import Exchange
from model.training.simulation.scene import Scene
from model.training.simulation.script import Room, Sounds, UserSpeaks
from streams.types import TICK_US

LONG_ANSWERS: tuple[Exchange, ...] = (tasks.week, talk.joke, talk.abilities, talk.define)
TRIES = 3  # until the agent speaks long enough to be interrupted
STRETCH_TICKS = 60  # fifteen seconds of one session
TICKS_PER_MINUTE = 60_000_000 // TICK_US


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
    """Somebody cuts into an answer: the agent is silent two ticks later, and for the second after that."""

    bench: Bench
    count: int
    stopped: list[bool] = field(default_factory=list)
    title: str = "stops within two ticks of an interruption"

    def run(self) -> None:
        if not self.bench.info.hears or not self.bench.info.speaks:
            return
        for number in tqdm(range(len(self.stopped), self.count), self.title, unit="exam"):
            tries = (self._try(number, attempt) for attempt in range(TRIES))
            # An agent that never speaks, or not long enough, has not shown that it stops.
            self.stopped.append(next((stopped for stopped in tries if stopped is not None), False))

    def _try(self, number: int, attempt: int) -> bool | None:
        """None where the agent did not speak when it was to be interrupted."""
        random = random_for("interruption", number, attempt)
        question, heard_ticks = a_question(random), int(random.integers(2, 5))
        words = INTERRUPTIONS[int(random.integers(len(INTERRUPTIONS)))]
        try:
            with self.bench.user(f"interruption-{number}-{attempt}", spoken=True) as user:
                ask(self.bench, user, question, number)
                if not _is_heard(user, self.bench.patience.begin, heard_ticks):
                    return None
                return self._cut_in(user, UserSpeaks(pieces=(words,), kind="interruption"), number)
        except LostSession:
            return False

    def _cut_in(self, user: LiveUser, line: UserSpeaks, number: int) -> bool:
        assert user.microphone is not None
        (spoken,) = speak(user, self.bench.speaker(number), line.pieces, line, number + 1)
        return stops(listen(user, AFTERMATH_TICKS + 1), spoken.first_tick)

    def rows(self) -> list[Row]:
        lacks = [ability for ability in ("hears", "speaks") if not getattr(self.bench.info, ability)]
        if lacks:
            return [cannot(self.title, AT_LEAST_85, Unit.SHARE, ", ".join(f"no {name!r}" for name in lacks))]
        return [share(self.title, AT_LEAST_85, self.stopped)]


def _is_heard(user: LiveUser, begin_ticks: int, heard_ticks: int) -> bool:
    """Whether the agent begins to speak in time and goes on for so long."""
    if not any(user.tick().pcm is not None for _ in range(begin_ticks)):
        return False
    return all(moment.pcm is not None for moment in listen(user, heard_ticks))


@dataclass
class FalseStarts:
    """Noise and echo: how often the agent begins to say something that nobody asked for.

    Every other session is in a loud room without a request; in the others the agent answers once and hears itself
    through a loudspeaker.
    """

    bench: Bench
    count: int
    parts: list[tuple[float, float]] = field(default_factory=list)  # (starts, minutes) of each session
    title: str = "false starts per minute of noise or echo"
    judged: Bar = field(default_factory=lambda: Bar(False, 0.5, 0.1))

    def run(self) -> None:
        if not self.bench.info.hears:
            return
        for number in tqdm(range(len(self.parts), self.count), self.title, unit="session"):
            listen_for: Callable[[int], tuple[int, int]] = self._in_noise if number % 2 == 0 else self._in_echo
            num_starts, num_ticks = listen_for(number)
            self.parts.append((num_starts, num_ticks / TICKS_PER_MINUTE))

    def _in_noise(self, number: int) -> tuple[int, int]:
        """(starts, ticks)."""
        random = random_for("noise", number)
        kind = list(NoiseKind)[number // 2 % len(NoiseKind)]
        duration_us = (STRETCH_TICKS - 4) * TICK_US
        level_db, seed = float(random.uniform(-45, -22)), int(random.integers(2**31))
        sound = Sounds(kind=kind, pause_us=TICK_US, duration_us=duration_us, level_db=level_db, seed=seed)

        def noise(user: LiveUser) -> list[Moment]:
            assert user.microphone is not None
            user.microphone.sound(sound)
            return listen(user, STRETCH_TICKS)

        return self._starts(f"noise-{number}", any_surroundings(random, echo=False), noise)

    def _in_echo(self, number: int) -> tuple[int, int]:
        """(starts after the answer, ticks since it began)."""
        random = random_for("echo", number)
        surroundings = any_surroundings(random, echo=True)
        room = msgspec.structs.replace(surroundings, echo_db=float(random.uniform(-34, -28)))
        question = a_question(random)

        def echo(user: LiveUser) -> list[Moment]:
            ask(self.bench, user, question, number)
            answered = until_answered(user, self.bench.patience)
            return [moment for moment in answered if not moment.says] + listen(user, STRETCH_TICKS // 2)

        return self._starts(f"echo-{number}", room, echo)

    def _starts(self, name: str, room: Room, listening: Callable[[LiveUser], list[Moment]]) -> tuple[int, int]:
        try:
            with self.bench.user(name, spoken=True, room=room) as user:
                moments = listening(user)
        except LostSession:
            return 1, 1  # a session that breaks off is no quiet one
        return starts(moments), len(moments)

    def rows(self) -> list[Row]:
        if not self.bench.info.hears:
            return [cannot(self.title, self.judged, Unit.PER_MINUTE, "no 'hears'")]
        return [rate(self.title, self.judged, Unit.PER_MINUTE, self.parts, "sessions")]
