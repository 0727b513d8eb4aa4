"""uvicorn's WebSocket connection, with endings that do not depend on the client's good will.

Three differences from its parent, all about closing: a close frame does not wait for a client that stopped reading; a
client whose frame was refused (too large, malformed) gets to read why before the connection drops; and a connection
whose session is over is gone after `close_timeout`, even when the client never reads what is still queued.
"""

import asyncio

from uvicorn._types import ASGISendEvent  # private, but the type of what the parent sends
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

CLOSE_TIMEOUT_S = 5.0
TLS_DRAIN_S = 0.5  # TLS has no half-close: this long for the client to read the close frame


class ClosingWebSocketProtocol(WebSocketsSansIOProtocol):
    _deadline: asyncio.TimerHandle | None = None

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "websocket.close":
            self.writable.set()  # a close frame is a few bytes, and the last
        await super().send(message)

    def handle_parser_exception(self) -> None:
        """Refuse what the client sent: say why, then read and discard until it hangs up or the deadline passes.

        Closing at once with unread bytes in the socket would send a reset, which overtakes the close frame.
        """
        if self.close_sent:
            return
        assert self.conn.close_sent is not None
        close = self.conn.close_sent
        self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.close_sent = True
        self.stop_keepalive()
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)
        else:
            self.close_timer = self.loop.call_later(TLS_DRAIN_S, self.transport.close)

    async def run_asgi(self) -> None:
        self.close_timeout = CLOSE_TIMEOUT_S
        try:
            await super().run_asgi()
        finally:
            if not self.disconnected:
                self._deadline = self.loop.call_later(CLOSE_TIMEOUT_S + TLS_DRAIN_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
