"""Performs an exam with a live user: says, types and shows its lines, and waits for the agent as people do.

Lines and a session in, `Turn`s out: what was asked, what was expected, and every moment from the one to the end of the
other. Decides nothing about right and wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from model.training.data.seeding import seed_of
from model.training.evaluation.exams import Exam
from model.training.evaluation.live import LiveUser, LostSession, Moment
from model.training.evaluation.microphone import Spoken
from model.training.evaluation.voices import Speaker
from model.training.simulation.pictures import describe
from model.training.simulation.script import (
    AgentSpeaks,
    AnyLine,
    Picture,
    Sounds,
    UserShows,
    UserSpeaks,
    UserTypes,
    Waits,
)
from streams.types import TICK_US, Pixels, Samples


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a user waits, in ticks: for an answer to begin and to go on, for a drawing, for the end of it all."""

    begin: int = 16
    quiet: int = 3
    drawing: int = 24
    longest: int = 160
    silence: int = 8  # where nothing is to be said


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One thing that the agent is to do, and what it did. `expected` None: to be silent.

    `dictated` is what it was to write down, "" where it was not. `spoken` is where the user spoke. `mentioned` is what
    may come up again: what was said before, this turn's request included. `shown` is what the camera saw so far; once
    there is something, only the user's own words are mentioned, unless a change is asked about. `marked` is False for
    what only prepares an exam.
    """

    kind: str
    asked: str
    expected: AgentSpeaks | None
    moments: tuple[Moment, ...]
    mentioned: tuple[str, ...] = ()
    shown: tuple[Picture, ...] = ()
    dictated: str = ""
    spoken: tuple[Spoken, ...] = ()
    marked: bool = True

    @property
    def said(self) -> str:
        return "".join(moment.text for moment in self.moments)

    @property
    def sounds(self) -> list[Samples]:
        return [moment.pcm for moment in self.moments if moment.pcm is not None]

    @property
    def image(self) -> Pixels | None:
        """The last one."""
        return next((moment.image for moment in reversed(self.moments) if moment.image is not None), None)


@dataclass(slots=True)
class Performance:
    """An exam as it went. `lost` says how the session broke off, if it did; turns that were to follow are missing."""

    exam: Exam
    voice: str
    turns: list[Turn] = field(default_factory=list)
    lost: str = ""


def perform(exam: Exam, user: LiveUser, speaker: Speaker, patience: Patience) -> Performance:
    """All of it, in this session. The camera is off at its beginning."""
    performance = Performance(exam, speaker.voice)
    actor = _Actor(exam, user, speaker, patience)
    user.show(None)
    try:
        for marked, lines in ((False, exam.setup), (True, exam.lines)):
            for turn in actor.play(lines, marked):
                performance.turns.append(turn)
    except LostSession as lost:
        performance.lost = str(lost) or "the session ended"
    return performance


def listen(user: LiveUser, num_ticks: int) -> list[Moment]:
    """Nothing is done for so long."""
    return [user.tick() for _ in range(num_ticks)]


def speak(user: LiveUser, speaker: Speaker, pieces: Sequence[str], line: UserSpeaks, seed: int) -> list[Spoken]:
    """Put a line into the room, from its pause on."""
    assert user.microphone is not None, "spoken exams have one"
    after_us, spoken = line.pause_us, []
    for place, piece in enumerate(pieces):
        said = speaker.say(piece, seed_of("piece", seed, place))
        spoken.append(user.microphone.say(said.pcm, after_us))
        after_us += said.duration_us + line.thinks_us
    return spoken


def until_answered(user: LiveUser, patience: Patience, expected: AgentSpeaks | None = None) -> list[Moment]:
    """Moments until the agent has answered and is quiet, or the user gives up."""
    moments: list[Moment] = []
    draws = expected is not None and expected.draws is not None
    quiet, began, drew = 0, False, False
    while len(moments) < patience.longest:
        moments.append(user.tick())
        quiet = 0 if moments[-1].says else quiet + 1
        began = began or moments[-1].says
        drew = drew or moments[-1].image is not None
        if quiet >= patience.begin + (patience.drawing if draws and not drew else 0):
            break
        if began and user.is_answered and quiet >= patience.quiet and (drew or not draws):
            break
        if user.microphone is None and began and user.is_answered and not draws:
            break
    user.give_up()
    return moments


class _Actor:
    def __init__(self, exam: Exam, user: LiveUser, speaker: Speaker, patience: Patience) -> None:
        self._exam = exam
        self._user = user
        self._speaker = speaker
        self._patience = patience
        self._requests: list[str] = []
        self._mentioned: list[str] = []  # also by the agent, as it should have, and by what was shown
        self._shown: list[Picture] = []
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self._moments: list[Moment] = []
        self._spoken: list[Spoken] = []
        self._asked: UserSpeaks | UserTypes | None = None

    def play(self, lines: Sequence[AnyLine], marked: bool) -> Iterator[Turn]:
        for line in lines:
            self._number += 1
            self._do(line)
            if isinstance(line, AgentSpeaks):
                self._moments += until_answered(self._user, self._patience, line)
                yield self._turn(line, marked)
                self._mentioned.append(line.text)
            elif isinstance(line, UserSpeaks) and line.transcribed:
                self._moments += until_answered(self._user, self._patience)
                yield self._turn(None, marked, line.text)
        if lines and not isinstance(lines[-1], AgentSpeaks):
            self._moments += listen(self._user, self._patience.silence)
            yield self._turn(None, marked)

    def _do(self, line: AnyLine) -> None:
        user = self._user
        match line:
            case UserSpeaks():
                self._ask(line)
                seed = seed_of("line", self._exam.name, self._number)
                self._spoken += speak(user, self._speaker, line.pieces, line, seed)
                assert user.microphone is not None
                self._moments += listen(user, self._spoken[-1].last_tick + 1 - user.microphone.tick)
            case UserTypes():
                self._ask(line)
                self._wait(line.pause_us)
                user.type(line.text)
            case UserShows():
                self._wait(line.pause_us)
                if line.picture is not None:
                    self._mentioned.append(describe(line.picture))
                    self._shown.append(line.picture)
                user.show(line.picture)
            case Waits():
                self._wait(line.pause_us + line.duration_us)
            case Sounds():
                assert user.microphone is not None
                user.microphone.sound(line)
                self._wait(line.pause_us + line.duration_us)

    def _ask(self, line: UserSpeaks | UserTypes) -> None:
        self._asked = line
        self._requests.append(line.text)
        self._mentioned.append(line.text)

    def _wait(self, duration_us: int) -> None:
        self._moments += listen(self._user, -(-duration_us // TICK_US))

    def _turn(self, expected: AgentSpeaks | None, marked: bool, dictated: str = "") -> Turn:
        asked = self._asked
        kind = asked.kind if asked is not None else ""
        turn = Turn(
            kind,
            asked.text if asked is not None else "",
            expected,
            tuple(self._moments),
            tuple(self._mentioned if kind == "see_changed" or not self._shown else self._requests),
            tuple(self._shown),
            dictated,
            tuple(self._spoken),
            marked,
        )
        self._begin()
        return turn
