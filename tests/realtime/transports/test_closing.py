"""How connections end: whatever the client does, it can learn why, and nothing of it stays behind."""

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from realtime.transports import closing

MAX_BYTES = 100_000


class Site:
    """Tiny applications: /echo, /flood (until nobody reads), /leave (just returns), /undecided (never accepts)."""

    def __init__(self) -> None:
        self.server = uvicorn.Server(
            uvicorn.Config(
                self.app,
                ws=closing.ClosingWebSocketProtocol,
                ws_max_size=MAX_BYTES,
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
            )
        )
        self.disconnects: list[tuple[int, str]] = []
        self.gave_up = False
        self.undecided = False

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        if scope["path"] == "/undecided":
            self.undecided = True
            message = await receive()
            self.disconnects.append((message["code"], message.get("reason", "")))
            return
        await send({"type": "websocket.accept"})
        if scope["path"] == "/flood":
            with contextlib.suppress(TimeoutError):
                while True:
                    await asyncio.wait_for(send({"type": "websocket.send", "bytes": bytes(MAX_BYTES)}), 0.05)
            await send({"type": "websocket.close", "code": 1008, "reason": "read faster"})
            self.gave_up = True
        while scope["path"] == "/echo":
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.disconnects.append((message["code"], message.get("reason", "")))
                return
            await send({"type": "websocket.send", "text": message["text"]})

    @property
    def num_connections(self) -> int:
        return len(self.server.server_state.connections)


@pytest.fixture
def site(start_server: Callable[..., Any]) -> Iterator[Any]:
    site = Site()
    site.live = start_server(site.server)  # type: ignore[attr-defined]
    yield site
    site.live.close()  # type: ignore[attr-defined]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(closing, "LINGER_S", 0.05)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in the server's thread."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def rude_client(
    site: Any, path: str, *early: Frame
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection after its handshake, in the hands of a client without manners."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.live.port, limit=1024)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    try:
        if path != "/undecided":
            await reader.readuntil(b"\r\n\r\n")
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def send_until_closed(client: ClientConnection, num_chars: int) -> None:
    """More than the sockets hold, so that the client is still sending when it is refused."""
    for _ in range(100):
        await client.send("x" * num_chars)
    await client.recv()


async def test_a_client_whose_frame_is_too_large_reads_why(site: Any) -> None:
    async with connect(f"ws://{site.live.address}/echo") as client:
        with pytest.raises(ConnectionClosed):
            await send_until_closed(client, MAX_BYTES * 10)
    assert client.close_code == 1009
    await until(lambda: site.disconnects == [(1009, client.close_reason)])


async def test_a_frame_of_the_greatest_size_is_served(site: Any) -> None:
    async with connect(f"ws://{site.live.address}/echo") as client:
        await client.send("x" * MAX_BYTES)
        assert await client.recv() == "x" * MAX_BYTES


async def test_text_that_is_not_utf_8_closes_with_1007(site: Any) -> None:
    async with connect(f"ws://{site.live.address}/echo") as client:
        await client.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed):
            await client.recv()
    assert client.close_code == 1007


async def test_a_frame_without_a_mask_closes_with_1002_and_the_connection_goes(site: Any) -> None:
    async with rude_client(site, "/echo") as (reader, writer):
        writer.write(Frame(Opcode.TEXT, b"{}").serialize(mask=False))
        assert int.from_bytes((await reader.read(125))[2:4]) == 1002
    await until(lambda: site.num_connections == 0)


async def test_a_client_that_returns_to_reading_finds_the_close_frame(site: Any) -> None:
    async with rude_client(site, "/flood") as (reader, _):
        await until(lambda: site.gave_up)
        close = Frame(Opcode.CLOSE, (1008).to_bytes(2) + b"read faster").serialize(mask=False)
        received = b""
        while not received.endswith(close):
            received = received[-200:] + await reader.read(65_536)


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_never_reads_is_gone_after_the_timeout(site: Any) -> None:
    async with rude_client(site, "/flood") as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: site.num_connections == 0)


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_never_hangs_up_after_a_refused_frame_is_gone_too(site: Any) -> None:
    async with rude_client(site, "/echo") as (reader, writer):
        writer.write(Frame(Opcode.TEXT, b"x" * (MAX_BYTES + 1)).serialize(mask=True))
        assert int.from_bytes((await reader.read(125))[2:4]) == 1009
        await until(lambda: site.num_connections == 0)


async def test_a_frame_that_is_too_large_before_the_handshake_ended_drops_the_connection(
    site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with rude_client(site, "/undecided") as (reader, writer):
        await until(lambda: site.undecided)
        writer.write(Frame(Opcode.TEXT, b"x" * (MAX_BYTES + 1)).serialize(mask=True))
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await until(lambda: site.disconnects == [(1006, "")])
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_an_application_that_just_returns_closes_the_connection(site: Any) -> None:
    async with connect(f"ws://{site.live.address}/leave") as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
    await until(lambda: site.num_connections == 0)
