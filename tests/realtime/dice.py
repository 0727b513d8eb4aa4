"""An engine without weights whose tokens depend on what a model's depend on: seed, sampling, tick, and the past.

It answers for `ANSWER_TICKS` ticks after a turn opens. Faults can be built in, to see whether they are found.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from realtime.recording.recorder import SessionRecorder
from realtime.recording.tokens import input_json
from streams.types import (
    EngineFull,
    EngineInfo,
    Finish,
    Message,
    OpenTurn,
    Respond,
    Sampling,
    Source,
    Stream,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
    TokenBlock,
)

ANSWER_TICKS = 3
WINDOW_TICKS = 4  # older ticks are evicted

INFO = EngineInfo(
    name="dice",
    max_sessions=0,
    max_steps_per_tick=4,
    weights_hash="none",
    build_hash="1",
    backend="python",
    hears=True,
    sees=False,
    speaks=True,
    draws=False,
    self_paced=False,
)


@dataclass
class _Session:
    seed: int
    past: bytes = b""
    respond: Respond | None = None
    ticks_left: int = 0


@dataclass
class Dice:
    max_sessions: int = 8
    changed_from: int | None = None  # a different build: other tokens from this tick on
    mixes_batch: bool = False  # the company changes the tokens
    fails_at: int | None = None
    info: EngineInfo = INFO
    batch_sizes: list[int] = field(default_factory=list)
    _sessions: dict[str, _Session] = field(default_factory=dict)

    def open(self, session: str, seed: int) -> None:
        if len(self._sessions) == self.max_sessions:
            raise EngineFull(f"all {self.max_sessions} slots are taken")
        self._sessions[session] = _Session(seed)

    def close(self, session: str) -> None:
        self._sessions.pop(session, None)

    def encode(self, windows: Sequence[TickWindow]) -> list[TickInput | TickFailure]:
        return [self._encode(window) for window in windows]

    def _encode(self, window: TickWindow) -> TickInput:
        actions: list[TokenBlock | OpenTurn] = []
        for command in window.commands:
            if isinstance(command, Message):
                ids = np.frombuffer(command.text.encode(), np.uint8).astype(np.int32)
                actions.append(TokenBlock(Stream.TEXT_IN, Source.RECEIVED, window.tick, 0, ids=ids))
            elif isinstance(command, Respond):
                actions.append(OpenTurn(command))
        if window.audio is not None:
            loudness = window.audio.reshape(2, 3000)[:, :4]
            actions.append(TokenBlock(Stream.AUDIO_IN, Source.RECEIVED, window.tick, 0, features=loudness))
        return TickInput(window.session, window.tick, tuple(actions))

    def step(self, inputs: Sequence[TickInput]) -> Iterator[TickOutput | TickFailure]:
        self.batch_sizes.append(len(inputs))
        for tick_input in inputs:
            yield from self._step(tick_input, len(inputs))

    def _step(self, tick_input: TickInput, batch_size: int) -> Iterator[TickOutput | TickFailure]:
        session, tick = self._sessions[tick_input.session], tick_input.tick
        if tick == self.fails_at:
            yield TickFailure(tick_input.session, tick, "the die is cracked")
            return
        session.past = hashlib.sha256(session.past + input_json(tick_input)).digest()
        for action in tick_input.actions:
            if isinstance(action, OpenTurn):
                session.respond, session.ticks_left = action.respond, ANSWER_TICKS
        evicted = (tick - WINDOW_TICKS,) if tick >= WINDOW_TICKS else ()
        if session.respond is None:
            yield TickOutput(tick_input.session, tick, True, evicted=evicted)
            return
        sampling = session.respond.sampling or Sampling()
        salt = [session.seed if sampling.temperature else 0, tick, sampling.temperature]
        if self.changed_from is not None and tick >= self.changed_from:
            salt.append(1)
        if self.mixes_batch:
            salt.append(batch_size)
        rolled = np.frombuffer(hashlib.sha256(session.past + repr(salt).encode()).digest(), np.uint16).astype(np.int32)
        session.past += rolled.tobytes()
        session.ticks_left -= 1
        response = session.respond.response
        finish = None
        if session.ticks_left == 0:
            session.respond, finish = None, Finish.STOP
        sound = rolled[:1].astype(np.float32).repeat(6000) / np.float32(2**17)
        yield TickOutput(tick_input.session, tick, False, response=response, pcm=sound, codes=rolled[:4].reshape(1, 4))
        yield TickOutput(
            tick_input.session,
            tick,
            True,
            response=response,
            ids=rolled[4 : 4 + tick % 4],
            finish=finish,
            evicted=evicted,
        )


def build(*, backend: str | None, max_sessions: int) -> Dice:
    assert backend in (None, "python")
    return Dice(max_sessions)


def build_cached(*, backend: str | None, max_sessions: int, kv_cache: str = "float7") -> Dice:
    """Dice that say what they were asked to store keys and values in."""
    return Dice(max_sessions, info=replace(INFO, kv_cache=kv_cache))


def build_changed(*, backend: str | None, max_sessions: int) -> Dice:
    return Dice(max_sessions, changed_from=5)


def record_session(engine: Dice, recorder: SessionRecorder, seed: int, windows: Sequence[TickWindow]) -> None:
    """What a server does with a session, without the waiting."""
    session = windows[0].session
    engine.open(session, seed)
    for window in windows:
        recorder.window(window)
        (encoded,) = engine.encode([window])
        if isinstance(encoded, TickFailure):
            recorder.failure(encoded)
            break
        recorder.input(encoded)
        for event in engine.step([encoded]):
            if isinstance(event, TickFailure):
                recorder.failure(event)
            else:
                recorder.output(event)
    engine.close(session)
    recorder.close()
    assert recorder.join(60)
    assert recorder.stop_reason is None
