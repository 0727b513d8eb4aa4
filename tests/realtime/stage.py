"""A session on a stage: an engine stepped by hand, a clock that a test moves, and a strict client in the audience."""

import base64
import json
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from realtime.engine import Engine, EngineFull, EngineInfo
from realtime.protocol.ids import Ids
from realtime.protocol.session_patch import parse_patch
from realtime.recording.windows import messages_in
from realtime.scheduler import Demand
from realtime.session.limits import SessionLimits
from realtime.session.session import Session
from realtime.session.setup import SessionSetup
from realtime.session.side_session import SideSession
from streams.types import (
    SAMPLE_RATE_HZ,
    TICK_US,
    Command,
    Finish,
    Hold,
    Message,
    Respond,
    Rewrite,
    Role,
    Samples,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
    ToolCallDelta,
    Usage,
)
from tests.realtime.strict import StrictClient

TURN_TAKER = EngineInfo(
    name="turn-taker",
    max_sessions=4,
    max_steps_per_tick=8,
    weights_hash="none",
    build_hash="none",
    backend="script",
    hears=True,
    sees=True,
    speaks=True,
    draws=True,
    self_paced=False,
    voices=("anna", "boris"),
)
READER = replace(TURN_TAKER, name="reader", hears=False, sees=False, speaks=False, draws=False, voices=())


class LoudIsSpeech:
    """`VoiceActivity` that takes sound above 0.05 for speech, 768 samples at a time."""

    def __init__(self) -> None:
        self._waiting = np.zeros(0, np.float32)

    def push(self, pcm: Samples) -> list[float]:
        self._waiting = np.concatenate((self._waiting, pcm))
        num_chunks = len(self._waiting) // 768
        chunks = self._waiting[: num_chunks * 768].reshape(num_chunks, 768)
        self._waiting = self._waiting[num_chunks * 768 :]
        return [1.0 if float(np.abs(chunk).max()) > 0.05 else 0.0 for chunk in chunks]

    def reset(self) -> None:
        self._waiting = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Beat:
    """What a scripted model makes of one tick."""

    text: str = ""
    pcm: Samples | None = None
    calls: tuple[ToolCallDelta, ...] = ()
    image: Any = None
    finish: Finish | None = None


@dataclass(slots=True)
class ScriptedModel:
    """Answers each `Respond` with the next of its scripts, one beat a tick. Understands nothing."""

    scripts: deque[Sequence[Beat]] = field(default_factory=deque)
    windows: list[TickWindow] = field(default_factory=list)
    _beats: deque[Beat] = field(default_factory=deque)
    _response: str | None = None
    _num_positions: int = 0

    def will_say(self, *beats: Beat | str) -> None:
        """Queue an answer; a string is a beat of text, and the last beat ends it."""
        said = [Beat(beat) if isinstance(beat, str) else beat for beat in beats]
        if said[-1].finish is None:
            said[-1] = replace(said[-1], finish=Finish.STOP)
        self.scripts.append(said)

    @property
    def commands(self) -> list[Command]:
        return [command for window in self.windows for command in window.commands]

    def of(self, kind: type[Any]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]

    def _count(self, usage: Usage) -> int:
        self._num_positions += usage.text_in + usage.audio_in + usage.text_out + usage.audio_out
        return self._num_positions

    def tick(self, window: TickWindow) -> list[TickOutput]:
        if any(isinstance(command, Rewrite) for command in window.commands):
            self._num_positions = 0
        self.windows.append(window)
        words = sum(len(message.text.split()) for message in messages_in(window.commands))
        usage = Usage(text_in=words, audio_in=int(window.audio is not None))
        done = TickOutput(window.session, window.tick, done=True, usage=replace(usage, cached=self._count(usage)))
        for command in window.commands:
            if isinstance(command, Hold | Rewrite) and self._response is not None:
                done = replace(done, response=self._response, finish=Finish.HELD)
                self._response = None
            if isinstance(command, Respond):
                assert self._response is None, "asked to answer while answering"
                self._response = command.response
                self._beats = deque(self.scripts.popleft())
        if self._response is None or not self._beats:
            return [done]
        beat, response = self._beats.popleft(), self._response
        outputs = []
        if beat.pcm is not None:
            outputs.append(TickOutput(window.session, window.tick, done=False, response=response, pcm=beat.pcm))
        if beat.finish is not None:
            self._response = None
        produced = Usage(text_out=len(beat.text.split()), audio_out=int(beat.pcm is not None))
        usage = replace(done.usage, text_out=produced.text_out, audio_out=produced.audio_out)
        usage = replace(usage, cached=self._count(produced))
        outputs.append(
            replace(
                done,
                response=response,
                text=beat.text,
                tool_calls=beat.calls,
                image=beat.image,
                finish=beat.finish,
                usage=usage,
            )
        )
        return outputs


@dataclass(slots=True)
class RealEngine:
    """An engine of the project, ticked by hand."""

    engine: Engine
    windows: list[TickWindow] = field(default_factory=list)

    def tick(self, window: TickWindow) -> list[TickOutput]:
        self.windows.append(window)
        inputs = [encoded for encoded in self.engine.encode([window]) if isinstance(encoded, TickInput)]
        return [output for output in self.engine.step(inputs) if isinstance(output, TickOutput)]


class Stage:
    """Everything a test of whole turns needs. `patch` is the session's configuration from the start."""

    def __init__(
        self,
        info: EngineInfo = TURN_TAKER,
        patch: dict[str, Any] | None = None,
        limits: SessionLimits | None = None,
        max_sides: int = 1,
        extended: bool = False,
    ) -> None:
        self.now_us = 0
        self.wakes = 0
        self.model = ScriptedModel()
        self.sides: dict[str, tuple[SideSession, ScriptedModel]] = {}
        self.side_scripts: deque[Sequence[Beat]] = deque()
        self._max_sides = max_sides
        self.session = Session(
            SessionSetup(
                name="sess_test",
                info=info,
                ids=Ids(random.Random(7)),
                now_us=lambda: self.now_us,
                expires_at=2_000_000_000,
                limits=limits or SessionLimits(),
                patch=parse_patch(patch or {}, "session"),
                make_activity=LoudIsSpeech,
                sides=self,
                wake=self._wake,
            )
        )
        self.client = StrictClient(extended)
        self.session.start()
        self.read()

    def _wake(self) -> None:
        self.wakes += 1

    # --- as side slots ----------------------------------------------------------------------------------------------

    def open_side(self, side: SideSession) -> None:
        if len(self.sides) >= self._max_sides:
            raise EngineFull("all slots are taken")
        model = ScriptedModel(scripts=self.side_scripts)
        self.sides[side.name] = (side, model)

    def close_side(self, side: SideSession) -> None:
        del self.sides[side.name]

    # --- the client -------------------------------------------------------------------------------------------------

    def send(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Send an event; returns what came back at once."""
        return self.send_raw(json.dumps({"type": kind, **fields}))

    def send_raw(self, frame: str | bytes) -> list[dict[str, Any]]:
        self.session.receive_frame(frame)
        return self.read()

    def read(self) -> list[dict[str, Any]]:
        events = []
        while (outgoing := self.session.outbox.pop()) is not None:
            events.append(self.client.receive(outgoing.frame))
        return events

    def type_text(self, text: str, **fields: Any) -> list[dict[str, Any]]:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        return self.send("conversation.item.create", item=item, **fields)

    def append(self, pcm: Samples) -> list[dict[str, Any]]:
        data = (pcm * 32767).astype("<i2").tobytes()
        return self.send("input_audio_buffer.append", audio=base64.b64encode(data).decode())

    def speak(self, *sounds: Samples, piece_ms: int = 100) -> list[dict[str, Any]]:
        """Append sound as it is recorded: in pieces, ticks in between, in real time."""
        pcm = np.concatenate(sounds)
        step = SAMPLE_RATE_HZ * piece_ms // 1000
        events: list[dict[str, Any]] = []
        for start in range(0, len(pcm), step):
            piece = pcm[start : start + step]
            events += self.append(piece)
            before = self.now_us // TICK_US
            self.now_us += len(piece) * 1_000_000 // SAMPLE_RATE_HZ
            if self.now_us // TICK_US > before:
                events += self.tick()
        return events

    # --- the scheduler ----------------------------------------------------------------------------------------------

    def tick(self) -> list[dict[str, Any]]:
        """One tick of the session and of its sides."""
        self._step(self.session, self.model)
        for side, model in list(self.sides.values()):
            self._step(side, model)
        return self.read()

    def _step(self, session: Session | SideSession, model: ScriptedModel) -> None:
        window = session.take_window()
        session.note_input(TickInput(window.session, window.tick))
        for output in model.tick(window):
            session.deliver(output)

    def run(self, max_ticks: int = 100) -> list[dict[str, Any]]:
        """Tick until nobody wants another, as fast as can be; live time passes where a microphone is open."""
        events: list[dict[str, Any]] = []
        for _ in range(max_ticks):
            demands = [self.session.demand(), *(side.demand() for side, _ in self.sides.values())]
            if all(demand is Demand.IDLE for demand in demands):
                return events
            if Demand.LIVE in demands:
                self.now_us += TICK_US
            events += self.tick()
        raise AssertionError(f"still busy after {max_ticks} ticks")

    def fail(self, reason: str = "out of luck") -> list[dict[str, Any]]:
        self.session.fail(TickFailure(self.session.name, 0, reason))
        return self.read()


def loud(ms: int) -> Samples:
    return np.full(SAMPLE_RATE_HZ * ms // 1000, 0.5, np.float32)


def quiet(ms: int) -> Samples:
    return np.zeros(SAMPLE_RATE_HZ * ms // 1000, np.float32)


def types(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def user(text: str, pts_us: int = 0) -> Message:
    return Message(pts_us, Role.USER, (text,))
