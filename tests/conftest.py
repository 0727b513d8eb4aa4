"""A server on a loopback port, in a thread with a loop of its own, for tests that speak to it as clients do."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn


class LiveServer:
    """Runs `server` until closed. Clients may connect at once: the socket listens before the loop does."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="live-server")
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except BaseException as failure:  # noqa: BLE001 - handed to the test that closes the server
            self._failure = failure

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        if self._failure is not None:
            raise self._failure


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[[uvicorn.Server], LiveServer]]:
    """Starts servers; those that a test leaves running are closed at the end."""
    running: list[LiveServer] = []

    def start(server: uvicorn.Server) -> LiveServer:
        running.append(LiveServer(server))
        return running[-1]

    yield start
    for server in running:
        server.close()
