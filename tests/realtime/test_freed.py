"""What ended is freed by reference counting alone: the garbage collector is off in all of these tests."""

import asyncio
import base64
import contextlib
import gc
import socket
import threading
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.server import ServerProtocol

from realtime.echo import EchoEngine
from realtime.limits import ConnectionPace
from realtime.recording.recorder import SessionRecorder
from realtime.recording.thread import RecordingThread
from realtime.recording.writer import RecordingWriter
from realtime.server import Server
from realtime.session.conversation import Conversation
from realtime.session.downlink import Downlink
from realtime.session.limits import SessionLimits
from realtime.session.listening import Listener
from realtime.session.outbox import Outbox
from realtime.session.responding import Responder
from realtime.session.responses import Response
from realtime.session.session import CloseKind, Session
from realtime.session.side_session import SideSession
from realtime.session.vad import Silero
from realtime.transports.closing import ClosingWebSocketProtocol
from realtime.transports.websocket import WebSocketTransport
from streams.types import TickInput
from tests.realtime.stage import READER, Beat, Stage, loud, quiet
from tests.realtime.wire import PATIENCE_S, WireClient, client_of, echo_server

PARTS = {Session, Downlink, Outbox, Conversation, Listener, Silero, Responder, Response, SideSession}
CONNECTION = {WebSocketTransport, ConnectionPace, ClosingWebSocketProtocol, ServerProtocol}
RECORDING = {SessionRecorder, RecordingThread, RecordingWriter}
KINDS = PARTS | CONNECTION | RECORDING
OUT_OF_BAND = {"conversation": "none", "output_modalities": ["text"]}


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Watch:
    """Notices objects that came after it, and whether they went again."""

    def __init__(self) -> None:
        self._older = {id(thing) for thing in _things()}  # without a collector, none of these can go and be replaced
        self._seen: dict[int, weakref.ref[Any]] = {}
        self._gone = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None  # of who waits

    def look(self) -> set[type]:
        """The kinds of what is there now and was not at the start."""
        fresh = [thing for thing in _things() if id(thing) not in self._older]
        self._seen |= {id(thing): weakref.ref(thing, self._note) for thing in fresh}
        return {type(thing) for thing in fresh}

    def left(self) -> Counter[str]:
        """What was seen and is still there."""
        return Counter(type(thing).__name__ for ref in self._seen.values() if (thing := ref()) is not None)

    async def until(self, is_true: Callable[[Counter[str]], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not is_true(self.left()):
                    self._gone.clear()
                    await self._gone.wait()
        except TimeoutError:
            raise AssertionError(f"still there: {dict(self.left())}") from None
        finally:
            self._loop = None

    def _note(self, ref: object) -> None:
        """Something went; in whichever thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._gone.set)

    async def until_all_gone(self) -> None:
        await self.until(lambda left: not left)


def _things() -> list[object]:
    return [thing for thing in gc.get_objects() if type(thing) in KINDS]


# --- sessions -------------------------------------------------------------------------------------------------------


def typed_turn(stage: Stage) -> None:
    stage.type_text("hi")
    stage.model.will_say("Hello", " there.")
    stage.send("response.create")
    stage.run()


def voice_turn(stage: Stage) -> None:
    stage.model.will_say(Beat("Yes.", pcm=loud(250)))
    stage.speak(quiet(300), loud(800), quiet(1_500))
    stage.run()


def barge_in(stage: Stage) -> None:
    stage.model.will_say(*[Beat("word ", pcm=loud(250))] * 9)
    stage.type_text("Talk.")
    stage.send("response.create")
    stage.speak(quiet(300), loud(800))


def turn_that_waits_for_its_answer(stage: Stage) -> None:
    stage.send("session.update", session={"audio": {"input": {"turn_detection": {"interrupt_response": False}}}})
    stage.model.will_say(*[Beat("word ", pcm=loud(250))] * 30)
    stage.type_text("Talk.")
    stage.send("response.create")
    stage.speak(quiet(300), loud(800), quiet(1_500))


def out_of_band_answer(stage: Stage) -> None:
    stage.side_scripts.append([Beat("x"), Beat("y")])
    stage.send("response.create", response=OUT_OF_BAND)
    stage.tick()


def overflow(stage: Stage) -> None:
    out_of_band_answer(stage)
    while stage.session.closing is None:
        stage.session.receive_frame("nonsense")


def engine_failure(stage: Stage) -> None:
    out_of_band_answer(stage)
    stage.fail()


SCENES = [
    typed_turn,
    voice_turn,
    barge_in,
    turn_that_waits_for_its_answer,
    out_of_band_answer,
    overflow,
    engine_failure,
]


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_session_goes_with_all_that_it_held(play: Callable[[Stage], None]) -> None:
    watch = Watch()
    stage = Stage()
    play(stage)
    held = watch.look()
    stage.session.close(CloseKind.CLIENT_LEFT, "gone")
    del stage.session
    assert {Session, Downlink, Outbox, Conversation, Listener, Responder} <= held
    assert not watch.left()


def test_a_slow_client_s_side_sessions_end_with_its_outbox() -> None:
    stage = Stage(READER, limits=SessionLimits(max_outbox_events=20))
    stage.send("response.create", response=OUT_OF_BAND)
    assert len(stage.sides) == 1
    for _ in range(21):
        stage.session.receive_frame("nonsense")
    assert stage.session.closing is not None
    assert stage.session.closing.kind is CloseKind.SLOW_CLIENT
    assert stage.sides == {}


# --- connections ----------------------------------------------------------------------------------------------------


class Gate(EchoEngine):
    """An EchoEngine that makes some steps and then waits to be let through."""

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self._num_steps = num_steps
        self.waits = threading.Event()
        self.opened = threading.Event()

    def step(self, inputs: Sequence[TickInput]) -> Any:
        self._num_steps -= 1
        if self._num_steps < 0:
            self.waits.set()
            self.opened.wait(PATIENCE_S)
        return super().step(inputs)

    async def until_it_waits(self) -> None:
        assert await asyncio.to_thread(self.waits.wait, PATIENCE_S)


@contextlib.asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    """`server` in this loop; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


async def say(client: WireClient, seconds: float) -> None:
    noise = np.random.default_rng(0).integers(-3_000, 3_000, int(24_000 * seconds)).astype("<i2").tobytes()
    for start in range(0, len(noise), 4_800):
        piece = base64.b64encode(noise[start : start + 4_800]).decode()
        await client.send("input_audio_buffer.append", audio=piece)


def abort(connection: ClientConnection) -> None:
    """Hang up without a word."""
    connection.transport.abort()


async def test_a_connection_goes_with_its_session_when_the_client_says_goodbye() -> None:
    watch = Watch()
    async with serving(echo_server()) as address:
        async with client_of(address) as client:
            await say(client, 0.5)
            await client.send("input_audio_buffer.commit")
            await client.ask("hello there")
            assert {*CONNECTION, Session, Silero} <= watch.look()
        await watch.until_all_gone()


async def test_a_session_whose_client_vanishes_in_the_midst_of_an_answer_goes_when_the_tick_ends() -> None:
    engine = Gate(num_steps=3)
    watch = Watch()
    async with serving(echo_server(engine=engine)) as address:
        async with client_of(address) as client:
            await client.say("one two three four five six seven eight nine ten " * 20)
            await client.send("response.create", response={"output_modalities": ["text"]})
            await engine.until_it_waits()
            assert {*CONNECTION, Session} <= watch.look()
            abort(client.connection)
        await watch.until(_connections_are_gone)
        engine.opened.set()
        await watch.until_all_gone()


async def test_out_of_band_responses_of_a_client_that_vanishes_go_when_the_tick_ends() -> None:
    engine = Gate(num_steps=0)
    watch = Watch()
    async with serving(echo_server(engine=engine)) as address:
        async with client_of(address) as client:
            await client.send("response.create", response=OUT_OF_BAND)
            await client.receive_until("response.created")
            await engine.until_it_waits()
            assert {*CONNECTION, Session, SideSession} <= watch.look()
            abort(client.connection)
        await watch.until(_connections_are_gone)
        engine.opened.set()
        await watch.until_all_gone()


def _connections_are_gone(left: Counter[str]) -> bool:
    return not left.keys() & {kind.__name__ for kind in CONNECTION}


async def test_a_connection_goes_whose_client_sent_no_websocket_frames() -> None:
    watch = Watch()
    async with serving(echo_server()) as address:
        async with client_of(address) as client:
            assert {*CONNECTION, Session} <= watch.look()
            client.connection.transport.write(b"\xff" * 64)
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await client.connection.recv()
        await watch.until_all_gone()


async def test_the_recorder_goes_with_the_session(tmp_path: Path) -> None:
    watch = Watch()
    async with serving(echo_server(record_dir=tmp_path)) as address:
        async with client_of(address) as client:
            await client.ask("hello there")
            assert {SessionRecorder, RecordingThread, RecordingWriter} <= watch.look()
        await watch.until_all_gone()
