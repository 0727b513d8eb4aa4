"""A fake server: plays whatever script a test gives it over a real WebSocket. It has no model and no protocol logic."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

WAIT_S = 20.0  # only a broken client waits this long


class Peer:
    """The fake server's side of one connection, as a script sees it."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.received: list[dict] = []

    async def send(self, kind: str, **fields: object) -> None:
        await self.connection.send(json.dumps({"type": kind, "event_id": "event_of_a_fake", **fields}))

    async def receive(self, kind: str | None = None) -> dict:
        """The next event; of the given type, passing over others."""
        while True:
            async with asyncio.timeout(WAIT_S):
                event = json.loads(await self.connection.recv())
            self.received.append(event)
            if kind is None or event["type"] == kind:
                return event

    async def greet(self) -> dict:
        """Give a session, accept the configuration, and return it."""
        session = {"id": "sess_fake", "model": "fake server, no model", "object": "realtime.session.session"}
        await self.send("session.created", session=session)
        update = await self.receive("session.update")
        await self.send("session.updated", session=session | update["session"])
        return update["session"]

    async def start_response(self, response_id: str, request: dict | None = None) -> None:
        metadata = request["response"]["metadata"] if request else None
        await self.send("response.created", response={"id": response_id, "status": "in_progress", "metadata": metadata})

    async def write(self, response_id: str, *pieces: str) -> None:
        for piece in pieces:
            await self.send("response.output_text.delta", response_id=response_id, delta=piece)

    async def end_response(self, response_id: str, status: str = "completed", **fields: object) -> None:
        usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10, "input_token_details": {"cached_tokens": 2}}
        await self.send("response.done", response={"id": response_id, "status": status, "usage": usage, **fields})

    async def answer_every_question(self) -> None:
        """Say back what was typed, until the client leaves."""
        for number in range(10**6):
            item = await self.receive("conversation.item.create")
            request = await self.receive("response.create")
            await self.start_response(f"resp_{number}", request)
            await self.write(f"resp_{number}", "You said: ", item["item"]["content"][0]["text"])
            await self.end_response(f"resp_{number}")


Script = Callable[[Peer], Awaitable[None]]


class FakeServers:
    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.errors: list[BaseException] = []

    async def start(self, script: Script, **options: object) -> str:
        """Serve `script` to every connection; returns the address."""

        async def play(connection: ServerConnection) -> None:
            try:
                await script(Peer(connection))
            except AssertionError as error:
                self.errors.append(error)
                raise

        server = await serve(play, "127.0.0.1", 0, compression=None, **options)
        self.servers.append(server)
        return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"


@pytest.fixture
async def fake() -> AsyncIterator[FakeServers]:
    servers = FakeServers()
    yield servers
    for server in servers.servers:
        server.close()
        await server.wait_closed()
    if servers.errors:
        raise servers.errors[0]
