"""From a script to times: every line gets its place on the session's clock, and the agent's words lead its speech.

The agent knows only what it has heard. It begins to write once a quarter of a second of silence follows the user's last
word, and is heard a tick later; where the user starts over it, it stops once 400 ms of that speech have reached it.
Both are within the two ticks that a conversation allows. An interjection ("mm-hm") changes nothing, however long it is
drawn out: it is told by how it sounds.

Where the microphone is closed, a tick in which nothing arrives gives the agent nothing to decide by: it reacts in the
tick of what it reads or sees, and writes without a pause.

Ticks here are those of serving: what the agent does in tick t follows the window of tick t, and is heard from t + 1 on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
import numpy as np

from model.training.data.seeding import seed_of
from model.training.simulation.cast import Cast, Spoken
from model.training.simulation.script import (
    AgentSpeaks,
    AnyLine,
    Picture,
    Script,
    Sounds,
    UserShows,
    UserSpeaks,
    UserTypes,
    Waits,
)
from streams.resample import float_to_pcm16, pcm16_to_float
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK, TICK_US, Samples

HEARD_TO_STOP_US = 400_000  # at most two ticks after the user starts
LEAD_TICKS = 2  # a word is written at least one tick before it is heard, and from the second word on two
TYPED_WORDS_PER_TICK = 4  # of an answer that is not spoken
FADE_SAMPLES = SAMPLE_RATE_HZ // 100  # at the end of speech that is cut off


class Who(StrEnum):
    USER = "user"
    AGENT = "agent"
    ROOM = "room"


class Span(msgspec.Struct, frozen=True):
    """Who is heard from when to when, and what; `note` is the line's kind."""

    who: Who
    start_us: int
    end_us: int
    text: str
    note: str = ""


@dataclass(slots=True, eq=False)
class Utterance:
    """What the agent says at once. `text_at` and frames lie at ticks; `first_frame` is the tick of `pcm`'s first."""

    name: str
    text_at: dict[int, str]
    first_frame: int
    pcm: Samples  # whole frames
    end_tick: int  # the last in which anything of it is produced
    picture: Picture | None = None
    typed_tick: int | None = None  # where the client asked for it
    aloud: bool = True
    held: bool = False

    @property
    def num_frames(self) -> int:
        return len(self.pcm) // SAMPLES_PER_TICK

    def hold(self, tick: int) -> bool:
        """Nothing of it from this tick on. False where it was over already."""
        if tick > self.end_tick:
            return False
        self.held = True
        self.text_at = {at: text for at, text in self.text_at.items() if at < tick}
        self.pcm = self.pcm[: max(tick - self.first_frame, 0) * SAMPLES_PER_TICK].copy()
        if len(self.pcm):
            fade = np.linspace(1, 0, FADE_SAMPLES, dtype=np.float32)
            self.pcm[-FADE_SAMPLES:] = pcm16_to_float(float_to_pcm16(self.pcm[-FADE_SAMPLES:] * fade))
        self.end_tick = tick - 1
        return True


@dataclass(slots=True)
class Staged:
    """A script in time. What is heard lies where it begins, dry and at the level of clips."""

    num_ticks: int = 0
    microphone_open: bool = True  # closed where nothing in the script is heard
    spoken: list[tuple[int, Samples]] = field(default_factory=list)  # (first sample, the user's speech)
    sounds: list[tuple[Sounds, int]] = field(default_factory=list)  # (sound, from microseconds)
    utterances: list[Utterance] = field(default_factory=list)
    views: list[tuple[int, Picture | None]] = field(default_factory=list)  # (from tick, what is shown)
    typed: list[tuple[int, UserTypes]] = field(default_factory=list)  # (tick, message)
    spans: list[Span] = field(default_factory=list)


def stage(script: Script, cast: Cast, drawing_ticks: int) -> Staged:
    """Place every line. `drawing_ticks` is how long the agent needs for a picture."""
    return _Director(script, cast, drawing_ticks).run()


class _Director:
    """`_now_us` is when the line before ended for the user, `_ready_tick` when the agent may react to it."""

    def __init__(self, script: Script, cast: Cast, drawing_ticks: int) -> None:
        self._script = script
        self._cast = cast
        self._drawing_ticks = drawing_ticks
        self._out = Staged(microphone_open=any(_is_heard(line) for line in script.lines))
        self._now_us = 0
        self._ready_tick = 1
        self._free_tick = 1  # the agent is not busy from here on
        self._number = 0
        self._asked_tick: int | None = None

    def run(self) -> Staged:
        for number, line in enumerate(self._script.lines):
            self._number = number
            self._place(line)
        self._out.spans += [span for utterance in self._out.utterances if (span := _span_of(utterance))]
        self._out.spans.sort(key=lambda span: span.start_us)
        self._out.num_ticks = max(_tick_from(self._now_us), self._free_tick) + 1
        return self._out

    def _place(self, line: AnyLine) -> None:
        match line:
            case Waits():
                self._now_us += line.pause_us + line.duration_us
                self._ready_tick = _tick_from(self._now_us)
            case Sounds():
                self._sound(line)
            case UserShows():
                tick = _tick_from(self._now_us + line.pause_us)
                self._out.views.append((tick, line.picture))
                self._now_us, self._ready_tick = tick * TICK_US, tick + self._out.microphone_open
            case UserTypes():
                tick = _tick_from(self._now_us + line.pause_us)
                self._out.typed.append((tick, line))
                self._now_us, self._ready_tick = tick * TICK_US, tick
                self._asked_tick = tick if line.asks else None
            case UserSpeaks():
                self._user_speaks(line)
            case AgentSpeaks():
                self._agent_speaks(line)

    def _sound(self, line: Sounds) -> None:
        start_us = self._now_us + line.pause_us
        self._out.sounds.append((line, start_us))
        self._now_us = start_us + line.duration_us
        self._out.spans.append(Span(Who.ROOM, start_us, self._now_us, "", line.kind))

    def _user_speaks(self, line: UserSpeaks) -> None:
        start_us = self._now_us + line.pause_us
        if line.over is not None and self._out.utterances:
            heard = self._out.utterances[-1]
            start_us = int((heard.first_frame + 1 + line.over * heard.num_frames) * TICK_US)
        at_us = start_us
        for piece in line.pieces:
            if at_us > start_us:
                at_us += line.thinks_us
            spoken = self._user_says(piece)
            self._out.spoken.append((num_samples_of(at_us), spoken.pcm))
            if line.transcribed:
                self._write_down(spoken, at_us)
            at_us += spoken.duration_us
        self._out.spans.append(Span(Who.USER, start_us, at_us, line.text, line.kind))
        if line.over is not None and line.stops_agent and self._out.utterances:
            stopped = self._out.utterances[-1]
            if stopped.hold((start_us + HEARD_TO_STOP_US) // TICK_US):
                self._free_tick = stopped.end_tick + 2
                self._now_us, self._ready_tick = at_us, 0
        self._now_us = max(self._now_us, at_us)
        self._ready_tick = max(self._ready_tick, _tick_from(at_us))

    def _write_down(self, spoken: Spoken, start_us: int) -> None:
        """The agent writes each word in the tick after the one in which it ends."""
        text_at: dict[int, str] = {}
        for place, word in enumerate(spoken.words):
            tick = (start_us + word.end_us) // TICK_US + 1
            text_at[tick] = text_at.get(tick, "") + (" " if place else "") + word.text
        first, last = min(text_at), max(text_at)
        empty = np.zeros(0, np.float32)
        self._out.utterances.append(Utterance(self._name(), text_at, first, empty, last, aloud=False))
        self._free_tick = last + 1

    def _agent_speaks(self, line: AgentSpeaks) -> None:
        first = max(self._ready_tick, self._free_tick)
        words = line.text.split()
        if line.aloud:
            # The agent says the same words the same way, which is less to learn than ten ways of saying them.
            spoken = self._cast.say(line.text, self._script.agent_voice, seed_of("agent", line.text))
            written = [max(first, first + 1 + word.start_us // TICK_US - LEAD_TICKS) for word in spoken.words]
            last_word = written[-1]
            num_frames = -(-len(spoken.pcm) // SAMPLES_PER_TICK)
            padded = np.pad(spoken.pcm, (0, num_frames * SAMPLES_PER_TICK - len(spoken.pcm)))
            pcm = pcm16_to_float(float_to_pcm16(padded))  # what recordings keep
        else:
            paced = [first + place // TYPED_WORDS_PER_TICK for place in range(len(words))]
            written, last_word = paced if self._out.microphone_open else [first] * len(words), paced[-1]
            num_frames, pcm = 0, np.zeros(0, np.float32)
        text_at: dict[int, str] = {}
        for place, (tick, word) in enumerate(zip(written, words, strict=True)):
            text_at[tick] = text_at.get(tick, "") + (" " if place else "") + word
        end_tick = max(first + num_frames, last_word + (self._drawing_ticks if line.draws else 0))
        self._out.utterances.append(
            Utterance(self._name(), text_at, first + 1, pcm, end_tick, line.draws, self._asked_tick, line.aloud)
        )
        self._asked_tick = None
        self._free_tick = end_tick + 2
        self._now_us = max(self._now_us, (end_tick + 2) * TICK_US)
        self._ready_tick = self._free_tick

    def _user_says(self, text: str) -> Spoken:
        """The same words in the same voice sound a little different on every line."""
        seed = seed_of("line", self._script.seed, self._script.index, self._number)
        return self._cast.say(text, self._script.user_voice, seed)

    def _name(self) -> str:
        return f"utterance-{len(self._out.utterances)}"


def _is_heard(line: AnyLine) -> bool:
    """Whether a line makes a sound, for which the microphone is open."""
    return isinstance(line, UserSpeaks | Sounds) or (isinstance(line, AgentSpeaks) and line.aloud)


def _span_of(utterance: Utterance) -> Span | None:
    """When an utterance is produced, by ticks; None where it was held before it began."""
    text = "".join(utterance.text_at[tick] for tick in sorted(utterance.text_at))
    start = min([*utterance.text_at, *([utterance.first_frame] if utterance.num_frames else [])], default=None)
    if start is None:
        return None
    note = "held" if utterance.held else "aloud" if utterance.aloud else "written"
    return Span(Who.AGENT, start * TICK_US, (utterance.end_tick + 1) * TICK_US, text, note)


def voice_track(num_ticks: int, utterances: Sequence[Utterance]) -> Samples:
    """The agent's speech where its ticks made it, [num_ticks * 6000]."""
    track = np.zeros(num_ticks * SAMPLES_PER_TICK, np.float32)
    for utterance in utterances:
        start = utterance.first_frame * SAMPLES_PER_TICK
        track[start : start + len(utterance.pcm)] = utterance.pcm
    return track


def num_samples_of(time_us: int) -> int:
    return time_us * SAMPLE_RATE_HZ // 1_000_000


def _tick_from(time_us: int) -> int:
    """The first tick that begins at or after this time."""
    return -(-time_us // TICK_US)
