"""uvicorn's WebSocket connection, with endings that do not depend on the client's good will.

What differs from its parent is all about closing: a close frame does not wait for a client that stopped reading; a
client whose frame was refused (too large, malformed) gets to read why before the connection drops; a connection that
is over, or whose client does not answer pings, is gone after `CLOSE_TIMEOUT_S`, even when the client never reads what
is still queued; and a lost connection is freed at once, not when the garbage collector comes by.
"""

import asyncio

from uvicorn._types import ASGISendEvent  # private, but the type of what the parent sends
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

CLOSE_TIMEOUT_S = 5.0
LINGER_S = 0.5  # a client that sent nothing for this long has read why it was refused


class ClosingWebSocketProtocol(WebSocketsSansIOProtocol):
    _deadline: asyncio.TimerHandle | None = None

    async def send(self, message: ASGISendEvent) -> None:
        if self.close_sent:
            raise ClientDisconnected
        if message["type"] == "websocket.close":
            self.writable.set()  # a close frame is a few bytes, and the last
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True  # a refusal is an answer too; the parent would log an error

    def handle_parser_exception(self) -> None:
        """Refuse what the client sent: say why, then read and discard until it is done sending or hangs up.

        Closing at once with unread bytes in the socket would send a reset, which overtakes the close frame. Called
        again for whatever comes after the first time.
        """
        if not self.close_sent:
            close = self.conn.close_sent
            if close is None:  # it did not even wait for the handshake
                self.transport.abort()
                return
            self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
            self.close_sent = True
            self.stop_keepalive()
            self.transport.write(b"".join(self.conn.data_to_send()))
            if self.read_paused:
                self.read_paused = False
                self.transport.resume_reading()
            self._give_up_after(CLOSE_TIMEOUT_S)
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(LINGER_S, self.transport.close)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._give_up_after(CLOSE_TIMEOUT_S)

    async def run_asgi(self) -> None:
        self.close_timeout = CLOSE_TIMEOUT_S
        try:
            await super().run_asgi()
        finally:
            if not self.disconnected:
                self._give_up_after(CLOSE_TIMEOUT_S)

    def _give_up_after(self, seconds: float) -> None:
        """Closing waits for what is queued to be read; this does not."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()
        self.conn.parser.close()  # a generator that refers to what refers to it, and to the last frame
        self.conn.parser_exc = None  # its traceback does too
