"""A strict client on a real WebSocket, and servers for it to connect to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from realtime.config import EngineConfig, EngineKind, ServerConfig
from realtime.echo import EchoEngine
from realtime.engine import Engine
from realtime.limits import Limits
from realtime.server import Server, build_server
from tests.realtime.strict import Event, StrictClient

PATIENCE_S = 20.0  # a busy machine; nothing here waits for time to pass


def echo_server(limits: Limits | None = None, engine: Engine | None = None, **settings: Any) -> Server:
    """A server with an EchoEngine. Its addresses may connect as often as a test likes, unless `limits` says else."""
    engine = engine or EchoEngine(max_sessions=8)
    config = ServerConfig(
        EngineConfig(EngineKind.ECHO, max_sessions=engine.info.max_sessions),
        limits=limits or replace(Limits(), connect_burst=10_000),
        **settings,
    )
    return build_server(config, engine)


class WireClient:
    """Validates whatever it receives. Fails the test rather than wait for what never comes."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.strict = StrictClient()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def receive(self) -> Event:
        async with asyncio.timeout(PATIENCE_S):
            frame = await self.connection.recv()
        assert isinstance(frame, str), "servers send text frames only"
        return self.strict.receive(frame)

    async def receive_until(self, kind: str) -> Event:
        """The next event of this type; those before it are kept in `strict`."""
        while True:
            event = await self.receive()
            if event["type"] == kind:
                return event

    async def say(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.send("conversation.item.create", item=item)

    async def ask(self, text: str, **options: Any) -> str:
        """Type `text` and wait for the whole answer."""
        await self.say(text)
        await self.send("response.create", response={"output_modalities": ["text"], **options})
        done = await self.receive_until("response.done")
        assert done["response"]["status"] == "completed", done
        return "".join(part["text"] for item in done["response"]["output"] for part in item["content"])

    async def wait_closed(self) -> tuple[int, str]:
        """The code and reason of the server's close; events on the way are validated."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.receive()
        assert self.connection.close_code is not None
        return self.connection.close_code, self.connection.close_reason or ""


@contextlib.asynccontextmanager
async def client_of(address: str, query: str = "?model=echo", **options: Any) -> AsyncIterator[WireClient]:
    """A client that has been greeted."""
    async with connect(f"ws://{address}/v1/realtime{query}", max_size=None, **options) as connection:
        client = WireClient(connection)
        assert (await client.receive())["type"] == "session.created"
        yield client
