"""connect: address, key and configuration → an open `Session`, or `CannotConnect` with the reason in words."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from omniweave_client.config import SessionConfig
from omniweave_client.errors import CannotConnect, ConnectionLost
from omniweave_client.events import Error, SessionCreated, SessionUpdated
from omniweave_client.session import Session, Tap

DEFAULT_URL = "ws://localhost:8080/v1/realtime"
DEFAULT_CONFIG = SessionConfig()
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 3.0
MAX_FRAME_BYTES = 32 * 1024 * 1024  # a large drawn picture in base64; everything else is far smaller


@asynccontextmanager
async def connect(
    url: str = DEFAULT_URL,
    *,
    api_key: str | None = None,
    config: SessionConfig = DEFAULT_CONFIG,
    tap: Tap | None = None,
) -> AsyncIterator[Session]:
    """A session that is configured and ready to talk; closed when the block ends, however it ends.

    `tap` is shown every frame in both directions. Raises `CannotConnect` if there is no session to be had, and
    never reconnects a session that was lost.
    """
    connection = await _open(url, api_key)
    session = Session(connection, tap)
    try:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await _greet(session, config)
        except TimeoutError:
            raise CannotConnect(
                f"{url} accepted the connection but sent no session within {OPEN_TIMEOUT_S:g} s"
            ) from None
        except ConnectionLost as lost:
            raise CannotConnect(f"{url}: {lost}") from None
        session.start()
        yield session
    finally:
        await session.close()


async def _open(url: str, api_key: str | None) -> ClientConnection:
    try:
        return await open_websocket(
            url,
            additional_headers={} if api_key is None else {"Authorization": f"Bearer {api_key}"},
            compression=None,  # base64 of sound and JPEG gains little
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_FRAME_BYTES,
        )
    except InvalidURI:
        raise CannotConnect(f"{url!r} is not a WebSocket address; one looks like {DEFAULT_URL}") from None
    except InvalidStatus as refused:
        raise CannotConnect(_describe_refusal(url, refused)) from None
    except InvalidHandshake as wrong:
        raise CannotConnect(f"{url} does not answer like a WebSocket server: {wrong}") from None
    except TimeoutError:
        raise CannotConnect(f"no answer from {url} within {OPEN_TIMEOUT_S:g} s") from None
    except ssl.SSLError as wrong:
        raise CannotConnect(f"no secure connection to {url}: {wrong.reason or wrong}") from None
    except socket.gaierror:
        raise CannotConnect(f"no machine has the name in {url}") from None
    except ConnectionRefusedError:
        raise CannotConnect(f"nothing listens at {url}; is the server running?") from None
    except OSError as failed:
        raise CannotConnect(f"cannot reach {url}: {failed.strerror or failed}") from None


async def _greet(session: Session, config: SessionConfig) -> None:
    """Exchange the first events: the server's session, our configuration, and its confirmation."""
    created = await session.receive_greeting()
    if isinstance(created, Error):
        raise CannotConnect(f"the server refused the session: {created.message}")
    if not isinstance(created, SessionCreated):
        raise CannotConnect(f"the server does not speak the Realtime protocol: it began with {created!r}"[:300])
    session.id, session.model = created.id, created.model
    event_id = await session.update(config)
    while not isinstance(answer := await session.receive_greeting(), SessionUpdated):
        if isinstance(answer, Error) and answer.event_id in (event_id, None):
            raise CannotConnect(f"the server refused the configuration: {answer.message}")


def _describe_refusal(url: str, refused: InvalidStatus) -> str:
    response = refused.response
    try:
        body: object = json.loads(response.body or b"")
    except ValueError:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    told = message if isinstance(message, str) else response.reason_phrase or "no reason given"
    if response.status_code in (401, 403):
        return f"{url} refused the key: {told} (HTTP {response.status_code})"
    return f"{url} refused the session: {told} (HTTP {response.status_code})"
