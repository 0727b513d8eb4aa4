"""EchoEngine: a fake engine without weights, for tests and for trying out transports and clients.

It says back what it is told. Sound that is not silence is played back in the tick that brings it; `Respond` is answered
with the words of the last user message, with the sound since the last answer, and with the last picture as a mosaic; a
forced tool is called with no arguments. All of it goes through real `TickInput`s, and `step` looks at nothing else, so
recordings of it replay like those of a model. Deterministic; seeds and sampling change nothing.

What it reads is written by `EchoPerception`; a word that it says has the CRC of its letters for an id.

Shape legend: N windows of a sound, K = 6,000 samples of a window.
"""

import hashlib
import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from realtime.echo_tokens import END_MARK, ROLE_MARKS, EchoPerception, make_ids, mosaic_of, pcm16_of
from streams.packer import Packer
from streams.resample import Pcm16, pcm16_to_float
from streams.types import (
    Clear,
    CloseTurn,
    EngineFull,
    EngineInfo,
    Finish,
    Ids,
    OpenTurn,
    Pace,
    Pixels,
    Respond,
    Role,
    Stream,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
    TokenBlock,
    ToolCallDelta,
    Usage,
)

WORDS_PER_TICK = 4
SILENCE_PEAK = 128  # of 32,768: sound below -48 dBFS is not played back
MAX_HEARD_TICKS = 480  # two minutes of sound wait for an answer; older sound is forgotten


@dataclass(frozen=True, slots=True, eq=False)
class _Sound:
    """One window of sound, int16 [6000]."""

    pcm16: Pcm16

    @property
    def codes(self) -> Ids:
        """The four codes [1, 4] that stand for it in the output, as a codec of 65,536 entries would give."""
        digest = hashlib.blake2b(self.pcm16.astype("<i2").tobytes(), digest_size=8).digest()
        return np.frombuffer(digest, "<u2").astype(np.int32)[None]


@dataclass(slots=True)
class _Answer:
    """What is still to be said. `response` is None where nobody asked: sound that is played back as it came."""

    response: str | None
    sounds: deque[_Sound]
    words: list[str] = field(default_factory=list)
    max_words: int | None = None
    calls: list[ToolCallDelta] = field(default_factory=list)
    picture: Pixels | None = None
    num_words: int = 0

    def take_words(self) -> list[str]:
        """The words of one tick."""
        room = WORDS_PER_TICK if self.max_words is None else min(WORDS_PER_TICK, self.max_words - self.num_words)
        taken, self.words = self.words[:room], self.words[room:]
        self.num_words += len(taken)
        return taken

    def finish(self, has_sound: bool) -> Finish | None:
        """How the answer ends with this tick, if it does. Unasked, it ends with the first tick without sound."""
        if self.words and self.num_words == self.max_words:
            return Finish.LENGTH
        is_over = not (has_sound if self.response is None else self.words or self.calls or self.sounds)
        return Finish.STOP if is_over else None


class _Session:
    """One slot: follows the actions of each tick, then says its next piece."""

    def __init__(self) -> None:
        self.packer = Packer(EchoPerception())
        self._is_free = True
        self._num_positions = 0
        self._answer: _Answer | None = None
        self._forget()

    def _forget(self) -> None:
        self._reading: int | None = None  # the mark of the message being read
        self._said = bytearray()  # by the user, last
        self._told: list[_Sound] = []  # sound in that message
        self._heard: deque[_Sound] = deque(maxlen=MAX_HEARD_TICKS)  # sound of the microphone, unanswered
        self._picture: Pixels | None = None

    def step(self, tick_input: TickInput) -> tuple[TickOutput | None, TickOutput]:
        """The output with sound, if any, and the one that ends the tick."""
        done = TickOutput(tick_input.session, tick_input.tick, done=True, usage=self._count(tick_input.blocks))
        for action in tick_input.actions:
            match action:
                case TokenBlock():
                    self._read(action)
                case OpenTurn(respond):
                    done = self._close(done)
                    self._open(respond)
                case CloseTurn():
                    done = self._close(done)
                    self._heard.clear()
                case Clear():
                    self._forget()
                case Pace(free):
                    self._is_free = free
        if done.finish is not None:  # a tick speaks for one answer, so the next one begins a tick later
            return None, done
        if self._answer is None and self._is_free and self._heard:
            self._answer = _Answer(None, self._heard)
        return (None, done) if self._answer is None else self._say(self._answer, done)

    def _close(self, done: TickOutput) -> TickOutput:
        if self._answer is None:
            return done
        response, self._answer = self._answer.response, None
        return replace(done, response=response, finish=Finish.HELD)

    def _count(self, blocks: Sequence[TokenBlock]) -> Usage:
        received = dict.fromkeys(Stream, 0)
        for block in blocks:
            received[block.stream] += len(block)
        cached, self._num_positions = self._num_positions, self._num_positions + sum(received.values())
        text_in, image_in, audio_in = (received[s] for s in (Stream.TEXT_IN, Stream.IMAGE_IN, Stream.AUDIO_IN))
        return Usage(text_in=text_in, image_in=image_in, audio_in=audio_in, cached=cached)

    # --- listening --------------------------------------------------------------------------------------------------

    def _read(self, block: TokenBlock) -> None:
        if block.ids is not None:
            self._read_text(block.ids.tolist())
        elif block.codes is not None:
            self._listen(block.codes)
        elif block.features is not None:
            self._picture = mosaic_of(block.features)

    def _read_text(self, ids: list[int]) -> None:
        if ids == [END_MARK]:
            self._reading = None
        elif ids and ids[0] in ROLE_MARKS.values():
            self._reading = ids[0]
            if self._reading == ROLE_MARKS[Role.USER]:
                self._said.clear()
                self._told.clear()
        elif self._reading == ROLE_MARKS[Role.USER]:
            self._said += bytes(ids)

    def _listen(self, codes_NK: Ids) -> None:
        windows = pcm16_of(codes_NK)
        sounds = [_Sound(pcm16) for pcm16 in windows if np.abs(pcm16.astype(np.int32)).max() > SILENCE_PEAK]
        if self._reading == ROLE_MARKS[Role.USER]:
            self._told += sounds
        elif self._reading is None:
            self._heard.extend(sounds)

    # --- speaking ---------------------------------------------------------------------------------------------------

    def _open(self, respond: Respond) -> None:
        self._reading = None
        self._answer = answer = _Answer(respond.response, deque(), max_words=respond.max_tokens)
        if respond.tool is not None and (respond.tool or respond.tools):
            name = respond.tool or respond.tools[0].name
            answer.calls = [ToolCallDelta(0, name, "{"), ToolCallDelta(0, None, "}")]
            return
        sounds = [*self._told, *self._heard]
        said = self._said.decode(errors="replace").strip()
        text = f"You said: {said}" if said else "You spoke." if sounds else "You said nothing."
        answer.words = re.findall(r"\s*\S+", text)
        answer.sounds.extend(sounds if respond.speak else ())
        answer.picture, self._picture = self._picture, None
        self._told.clear()
        self._heard.clear()

    def _say(self, answer: _Answer, done: TickOutput) -> tuple[TickOutput | None, TickOutput]:
        """One tick of an answer: a window of sound, a few words or a piece of a call; the picture comes last."""
        done = replace(done, response=answer.response)
        sound = answer.sounds.popleft() if answer.sounds else None
        early = None
        if sound is not None:
            early = replace(done, done=False, pcm=pcm16_to_float(sound.pcm16), codes=sound.codes, usage=Usage())
        words = answer.take_words()
        calls = (answer.calls.pop(0),) if answer.calls else ()
        finish = answer.finish(has_sound=sound is not None)
        if finish is not None:
            self._answer = None
        return early, replace(
            done,
            text="".join(words),
            tool_calls=calls,
            image=answer.picture if finish is Finish.STOP else None,
            ids=make_ids(zlib.crc32(word.encode()) & 0x7FFFFFFF for word in words),
            finish=finish,
            usage=replace(done.usage, text_out=len(words), audio_out=int(sound is not None)),
        )


class EchoEngine:
    """Satisfies `Engine`. `max_sessions` slots."""

    def __init__(self, max_sessions: int = 8) -> None:
        self.info = EngineInfo(
            name="echo",
            max_sessions=max_sessions,
            max_steps_per_tick=WORDS_PER_TICK,
            weights_hash="none",
            build_hash="echo-2",
            backend="python",
            hears=True,
            sees=True,
            speaks=True,
            draws=True,
            self_paced=True,
            voices=("echo",),
        )
        self._sessions: dict[str, _Session] = {}

    def open(self, session: str, seed: int) -> None:
        if session in self._sessions:
            raise ValueError(f"session {session!r} is open already")
        if len(self._sessions) >= self.info.max_sessions:
            raise EngineFull(f"all {self.info.max_sessions} slots are taken")
        self._sessions[session] = _Session()

    def encode(self, windows: Sequence[TickWindow]) -> list[TickInput | TickFailure]:
        return [
            TickFailure(window.session, window.tick, "the session is not open")
            if (session := self._sessions.get(window.session)) is None
            else session.packer.pack(window)
            for window in windows
        ]

    def step(self, inputs: Sequence[TickInput]) -> Iterator[TickOutput | TickFailure]:
        ends: list[TickOutput] = []
        for tick_input in inputs:
            session = self._sessions.get(tick_input.session)
            if session is None:
                yield TickFailure(tick_input.session, tick_input.tick, "the session is not open")
                continue
            early, done = session.step(tick_input)
            if early is not None:
                yield early
            ends.append(done)
        yield from ends

    def close(self, session: str) -> None:
        self._sessions.pop(session, None)
