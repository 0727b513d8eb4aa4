"""Clients that do wrong things, by accident or on purpose.

Each is told clearly, by an error event or a close code, while a witness on the same server keeps being answered.
"""

import asyncio
import base64
import contextlib
import json
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from realtime.echo import EchoEngine
from realtime.limits import MIB, Limits
from realtime.transports import closing
from streams.types import TickFailure, TickInput, TickOutput
from tests.realtime.wire import PATIENCE_S, WireClient, client_of, echo_server


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Any]) -> Any:
    return start_server(echo_server())


@pytest.fixture
async def witness(server: Any) -> AsyncIterator[WireClient]:
    """Somebody else on the same server, who must not notice."""
    async with client_of(server.address) as client:
        yield client
        assert await client.ask("am I still served?") == "You said: am I still served?"


async def error_after(client: WireClient, frame: str | bytes) -> dict[str, Any]:
    await client.connection.send(frame)
    event = await client.receive()
    assert event["type"] == "error", event
    return event["error"]


async def assert_lives(client: WireClient) -> None:
    assert await client.ask("do I live?") == "You said: do I live?"


async def ended(address: str, how: str) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://{address}/metrics")).text
    counts = [line for line in text.splitlines() if line.startswith(f'omniweave_sessions_ended_total{{how="{how}"}}')]
    return float(counts[0].split()[-1]) if counts else 0.0


async def until_ended(address: str, how: str, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await ended(address, how) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# --- events that are none -------------------------------------------------------------------------------------------

MALFORMED = {
    "nothing": "",
    "half an object": '{"type": "response.create"',
    "two objects": "{}{}",
    "null": "null",
    "an array": '[{"type": "response.create"}]',
    "a number": "17",
    "no type": "{}",
    "a null type": '{"type": null}',
    "an unknown type": '{"type": "session.destroy"}',
    "not a number": '{"type": "response.create", "x": NaN}',
    "nested too deeply": "[" * 200_000,
    "nested in the event": '{"type": "session.update", "session": ' + '{"a":' * 100_000,
    "a lone surrogate": '{"type": "\\ud800"}',
    "control characters": '{"type": "a\x00b"}',
}


@pytest.mark.usefixtures("witness")
@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_event_is_answered_with_an_error_and_the_session_lives(server: Any, frame: str) -> None:
    async with client_of(server.address) as client:
        assert (await error_after(client, frame))["type"] == "invalid_request_error"
        await assert_lives(client)


@pytest.mark.usefixtures("witness")
async def test_a_binary_frame_is_answered_with_an_error_and_the_session_lives(server: Any) -> None:
    async with client_of(server.address) as client:
        assert "binary" in (await error_after(client, b"\x00" * 1_000))["message"]
        await assert_lives(client)


WRONG_TYPES: dict[str, dict[str, Any]] = {
    "session.update": {"session": {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": "x"}}}}},
    "input_audio_buffer.append": {"audio": 5},
    "conversation.item.create": {"item": {"type": "message", "role": "user", "content": "x" * 10 + "\u0000", "id": 4}},
    "conversation.item.retrieve": {"item_id": ["a"]},
    "conversation.item.truncate": {"item_id": "a", "content_index": "first", "audio_end_ms": {}},
    "conversation.item.delete": {"item_id": {}},
    "response.create": {"response": {"tools": "all", "input": 5}},
    "response.cancel": {"response_id": 7},
    "omniweave.video.append": {"image": None},
}


@pytest.mark.usefixtures("witness")
@pytest.mark.parametrize("kind", WRONG_TYPES)
async def test_wrong_types_are_answered_with_an_error_that_names_the_event(server: Any, kind: str) -> None:
    async with client_of(server.address) as client:
        error = await error_after(client, json.dumps({"type": kind, "event_id": "mine", **WRONG_TYPES[kind]}))
        assert error["event_id"] == "mine"
        assert error["message"]
        await assert_lives(client)


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("witness")
async def test_a_frame_of_20_mib_is_read_and_too_much_sound_is_answered_with_an_error(server: Any) -> None:
    head, tail = '{"type": "input_audio_buffer.append", "audio": "', '"}'
    sound = "A" * ((20 * MIB - len(head) - len(tail)) // 4 * 4)
    async with client_of(server.address) as client:
        assert (await error_after(client, (head + sound + tail).ljust(20 * MIB)))["code"] == "input_audio_buffer_full"
        await assert_lives(client)


@pytest.mark.usefixtures("witness")
async def test_a_frame_over_20_mib_is_closed_with_1009(server: Any) -> None:
    async with client_of(server.address) as client:
        with contextlib.suppress(ConnectionClosed):  # the server may close before all is written
            await client.connection.send("x" * (20 * MIB + 1))
        assert (await client.wait_closed())[0] == 1009


@pytest.mark.usefixtures("witness")
async def test_fragments_that_add_up_to_over_20_mib_are_closed_with_1009(server: Any) -> None:
    async with client_of(server.address) as client:
        with contextlib.suppress(ConnectionClosed):  # the server may close before all is written
            await client.connection.send(["x" * MIB] * 21)
        assert (await client.wait_closed())[0] == 1009


# --- media ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("witness")
@pytest.mark.parametrize("audio", ["AAA", "AAA\n", "AAAA*", "ÄÄÄÄ", "===="])
async def test_truncated_base64_is_answered_with_an_error(server: Any, audio: str) -> None:
    async with client_of(server.address) as client:
        error = await error_after(client, json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        assert error["param"] == "audio"
        await assert_lives(client)


def png_bomb() -> bytes:
    """A kilobyte that says it is 30,000 by 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


BAD_PICTURES = {
    "a truncated JPEG": "data:image/jpeg;base64," + base64.b64encode(jpeg()[:200]).decode(),
    "noise": "data:image/jpeg;base64," + base64.b64encode(bytes(range(256)) * 8).decode(),
    "a decompression bomb": "data:image/png;base64," + base64.b64encode(png_bomb()).decode(),
    "a picture elsewhere": "http://169.254.169.254/latest/meta-data",
    "a file": "file:///etc/passwd",
    "broken base64": "data:image/png;base64,AAA",
    "nothing": "",
}


@pytest.mark.usefixtures("witness")
@pytest.mark.parametrize("url", BAD_PICTURES.values(), ids=BAD_PICTURES.keys())
async def test_a_bad_picture_is_answered_with_an_error(server: Any, url: str) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": url}]}
    async with client_of(server.address) as client:
        error = await error_after(client, json.dumps({"type": "conversation.item.create", "item": item}))
        assert error["param"]
        await assert_lives(client)


# --- clients that say or read nothing -------------------------------------------------------------------------------


async def test_a_silent_client_is_closed_while_one_that_talks_is_not(start_server: Callable[..., Any]) -> None:
    server = start_server(echo_server(Limits(idle_timeout_s=0.5)))
    async with client_of(server.address) as silent, client_of(server.address) as talker:
        waiting = asyncio.ensure_future(silent.wait_closed())
        while not waiting.done():
            await assert_lives(talker)
        assert await waiting == (1000, "idle for 0.5 s")
        await assert_lives(talker)
    server.close()


async def test_a_session_ends_when_it_expires(start_server: Callable[..., Any]) -> None:
    server = start_server(echo_server(Limits(max_session_s=0.3)))
    async with client_of(server.address) as client:
        assert await client.wait_closed() == (1000, "the session has expired")
    server.close()


@contextlib.asynccontextmanager
async def deaf_client(address: str, num_answers: int) -> AsyncIterator[None]:
    """Asks for an item of 400 kB again and again, and reads none of the answers."""
    async with connect(f"ws://{address}/v1/realtime", max_queue=1, max_size=None) as connection:
        content = [{"type": "input_text", "text": "x" * 400_000}]
        item = {"type": "message", "role": "user", "id": "big", "content": content}
        await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
        for _ in range(num_answers):
            await connection.send(json.dumps({"type": "conversation.item.retrieve", "item_id": "big"}))
        try:
            yield
        finally:
            connection.transport.abort()


async def test_a_client_that_never_reads_is_closed_when_its_outbox_is_full(
    start_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT_S", 0.1)
    server = start_server(echo_server(replace(Limits(), write_timeout_s=1.0)))
    async with client_of(server.address) as witness, deaf_client(server.address, 100):
        await until_ended(server.address, "slow_client")
        await assert_lives(witness)
    server.close()


async def test_a_client_that_never_reads_is_closed_when_a_write_takes_too_long(
    start_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT_S", 0.1)
    server = start_server(echo_server(replace(Limits(), write_timeout_s=0.2)))
    async with client_of(server.address) as witness, deaf_client(server.address, 35):  # less than an outbox holds
        await until_ended(server.address, "slow_client")
        await assert_lives(witness)
    server.close()


# --- too much, too many ---------------------------------------------------------------------------------------------


async def test_a_flood_of_events_is_slowed_down_and_answered_in_full(start_server: Callable[..., Any]) -> None:
    server = start_server(echo_server(replace(Limits(), events_per_s=200.0, event_burst=10)))
    async with client_of(server.address) as witness, client_of(server.address) as client:
        for _ in range(60):
            await client.send("input_audio_buffer.clear")
        await assert_lives(witness)
        for _ in range(60):
            await client.receive_until("input_audio_buffer.cleared")
    server.close()


async def test_one_address_gets_only_so_many_sessions(start_server: Callable[..., Any]) -> None:
    server = start_server(echo_server(replace(Limits(), max_sessions_per_address=2)))
    async with client_of(server.address) as first, client_of(server.address):
        with pytest.raises(InvalidStatus) as caught:
            async with client_of(server.address):
                pass
        assert caught.value.response.status_code == 429
        assert json.loads(caught.value.response.body)["error"]["code"] == "too_many_sessions"
        await assert_lives(first)
    server.close()


async def test_one_address_may_connect_only_so_often(start_server: Callable[..., Any]) -> None:
    server = start_server(echo_server(replace(Limits(), connect_burst=2, connects_per_min=1.0)))
    async with client_of(server.address) as first, client_of(server.address):
        with pytest.raises(InvalidStatus) as caught:
            async with client_of(server.address):
                pass
        assert caught.value.response.status_code == 429
        assert 50 <= int(caught.value.response.headers["Retry-After"]) <= 60
        await assert_lives(first)
    server.close()


# --- engines and connections that break -----------------------------------------------------------------------------


POISON = list(b"poison")


class GatedEngine(EchoEngine):
    """Stays in `step` while a test holds the gate. Fails sessions that say "poison"."""

    def __init__(self) -> None:
        super().__init__(max_sessions=2)
        self.stepping = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def step(self, inputs: Sequence[TickInput]) -> Iterator[TickOutput | TickFailure]:
        self.stepping.set()
        assert self.gate.wait(PATIENCE_S)
        healthy = []
        for tick_input in inputs:
            if any(block.ids is not None and block.ids.tolist() == POISON for block in tick_input.blocks):
                yield TickFailure(tick_input.session, tick_input.tick, "the numbers are not numbers")
            else:
                healthy.append(tick_input)
        yield from super().step(healthy)


async def test_a_disconnect_in_the_middle_of_a_tick_frees_the_slot_and_nobody_else_notices(
    start_server: Callable[..., Any],
) -> None:
    engine = GatedEngine()
    server = start_server(echo_server(engine=engine))
    async with client_of(server.address) as witness:
        async with client_of(server.address) as client:
            engine.stepping.clear()
            engine.gate.clear()
            await client.say("hello")
            await client.send("response.create")
            await client.receive_until("response.created")
            assert await asyncio.to_thread(engine.stepping.wait, PATIENCE_S)
            client.connection.transport.abort()
        await until_ended(server.address, "client_left")
        engine.gate.set()
        await assert_lives(witness)
        async with client_of(server.address) as successor:  # both slots are in use again
            await assert_lives(successor)
    server.close()


async def test_a_session_whose_tick_fails_is_told_and_closed_with_1011_alone(
    start_server: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    server = start_server(echo_server(engine=GatedEngine()))
    async with client_of(server.address) as witness, client_of(server.address) as client:
        await client.say("poison")
        await client.send("response.create")
        done = await client.receive_until("response.done")
        assert done["response"]["status"] == "failed"
        assert (await client.receive_until("error"))["error"]["type"] == "server_error"
        assert await client.wait_closed() == (1011, "the numbers are not numbers")
        await assert_lives(witness)
    server.close()


async def test_clients_that_vanish_leave_nothing_behind(start_server: Callable[..., Any]) -> None:
    server = start_server(echo_server(engine=EchoEngine(max_sessions=3)))
    async with client_of(server.address) as witness:
        for number in range(8):
            async with client_of(server.address) as client:
                await client.say("x")
                await client.send("response.create")
                client.connection.transport.abort()
            await until_ended(server.address, "client_left", number + 1)
            await assert_lives(witness)
    server.close()
