"""A session over one accepted WebSocket: text frames in, text frames out, and a close code that says why it ended.

Reads no faster than its limits allow and holds nothing back: what the client does not read stays in the session's
bounded outbox, and a client that does not read for `write_timeout_s` is closed. Decides nothing about the protocol.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.limits import ConnectionPace, Limits
from realtime.metrics import Metrics
from realtime.protocol.errors import ProtocolError
from realtime.protocol.server_events import Error, error_event
from realtime.session.session import CloseKind, Session
from streams.clock import Clock

logger = logging.getLogger(__name__)

# RFC 6455, section 7.4.1. Existing clients take 1000 and 1001 for a normal end and anything else for a failure.
_CLOSE_CODES = {
    CloseKind.CLIENT_LEFT: 1000,
    CloseKind.EXPIRED: 1000,
    CloseKind.SHUTDOWN: 1001,
    CloseKind.SLOW_CLIENT: 1008,
    CloseKind.ENGINE_FAILED: 1011,
}
MAX_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame holds 125 bytes, two are the code


@dataclass(slots=True)
class Traffic:
    """What went over one connection."""

    events_in: int = 0
    events_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def __str__(self) -> str:
        return (
            f"{self.events_in} events ({self.bytes_in} bytes) in, {self.events_out} events ({self.bytes_out} bytes) out"
        )


class WebSocketTransport:
    """`outgoing` is set by the session's `notify`."""

    def __init__(
        self,
        websocket: WebSocket,
        session: Session,
        outgoing: asyncio.Event,
        limits: Limits,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._websocket = websocket
        self._session = session
        self._outgoing = outgoing
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self.traffic = Traffic()

    async def run(self) -> None:
        """Carry events both ways until the session or the connection is over, then close what is left of both."""
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._receive())
                await self._send()
                reading.cancel()
        except* WebSocketDisconnect:
            self._session.close(CloseKind.CLIENT_LEFT, "the connection broke")
        except* Exception as failures:  # a mistake of ours, which costs this session and no other
            logger.exception("session %s failed", self._session.name, exc_info=failures)
            self._session.close(CloseKind.ENGINE_FAILED, "an internal error")
        await self._close()

    # --- in ---------------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        pace = ConnectionPace(self._limits, self._clock.now_us())
        expires_us = self._clock.now_us() + round(self._limits.max_session_s * 1e6)
        while self._session.closing is None:
            left_s = (expires_us - self._clock.now_us()) / 1e6
            try:
                async with asyncio.timeout(min(self._limits.idle_timeout_s, left_s)):
                    message = await self._websocket.receive()
            except TimeoutError:
                is_idle = left_s > self._limits.idle_timeout_s
                reason = f"idle for {self._limits.idle_timeout_s:g} s" if is_idle else "the session has expired"
                self._session.close(CloseKind.EXPIRED, reason)
                return
            if message["type"] == "websocket.disconnect":
                self._session.close(CloseKind.CLIENT_LEFT, f"the client closed with {message['code']}")
                return
            num_bytes = self._take(message.get("text"), message.get("bytes"))
            wait_us = pace.receive(num_bytes, self._clock.now_us())
            if wait_us:
                await self._clock.sleep_until_us(self._clock.now_us() + wait_us)

    def _take(self, text: str | None, data: bytes | None) -> int:
        """Give one frame to the session. Returns its size."""
        if text is not None:
            num_bytes = _num_bytes(text)
            self._session.receive_frame(text)
        else:
            num_bytes = len(data or b"")
            problem = ProtocolError("binary frames carry no events: send JSON in text frames", code="invalid_event")
            if self._session.outbox.push(error_event(problem)) is None:
                self._session.close(CloseKind.SLOW_CLIENT, "the client does not read what it is sent")
            self._outgoing.set()
        self.traffic.events_in += 1
        self.traffic.bytes_in += num_bytes
        self._metrics.receive_event(num_bytes)
        return num_bytes

    # --- out --------------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        """Send what the session has to say until it is over and everything is said."""
        while True:
            self._outgoing.clear()
            while (outgoing := self._session.outbox.pop()) is not None:
                if self._closed_by_client():
                    return
                try:
                    async with asyncio.timeout(self._limits.write_timeout_s):
                        await self._websocket.send_text(outgoing.frame)
                except TimeoutError:
                    self._session.close(
                        CloseKind.SLOW_CLIENT, f"the client read nothing for {self._limits.write_timeout_s:g} s"
                    )
                    return
                num_bytes = _num_bytes(outgoing.frame)
                self.traffic.events_out += 1
                self.traffic.bytes_out += num_bytes
                self._metrics.send_event(num_bytes, isinstance(outgoing.event, Error))
            if self._session.closing is not None:
                return
            await self._outgoing.wait()

    def _closed_by_client(self) -> bool:
        return self._session.closing is not None and self._session.closing.kind is CloseKind.CLIENT_LEFT

    async def _close(self) -> None:
        closing = self._session.closing
        assert closing is not None, "both directions end with the session"
        if closing.kind is CloseKind.CLIENT_LEFT:
            return
        reason = closing.message.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        with contextlib.suppress(WebSocketDisconnect):  # it left while we were saying goodbye
            await self._websocket.close(_CLOSE_CODES[closing.kind], reason)


def _num_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
