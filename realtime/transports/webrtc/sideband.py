"""A WebSocket that follows a call: every event of its session but the sound, and a way to send events of its own.

Servers use it to run tools and to steer a call whose sound goes to a browser. It neither ends the call nor outlives it.
"""

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.transports.webrtc.call import Call

MAX_WAITING_EVENTS = 8_192  # that the follower does not read, as many as a session's outbox holds
_TOO_SLOW = 1008  # RFC 6455, section 7.4.1
_CALL_ENDED = 1000


class Sideband:
    def __init__(self, websocket: WebSocket, call: Call) -> None:
        self._websocket = websocket
        self._call = call
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._close_code = _CALL_ENDED

    async def run(self) -> None:
        """Until the follower or the call is gone."""
        self._call.follow(self._push)
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._receive())
                await self._send()
                reading.cancel()
            await self._websocket.close(self._close_code)
        except* WebSocketDisconnect:
            pass
        finally:
            self._call.unfollow(self._push)

    def _push(self, frame: str | None) -> None:
        if self._waiting.qsize() < MAX_WAITING_EVENTS:
            self._waiting.put_nowait(frame)
        else:
            self._close_code = _TOO_SLOW

    async def _send(self) -> None:
        while self._close_code == _CALL_ENDED and (frame := await self._waiting.get()) is not None:
            await self._websocket.send_text(frame)

    async def _receive(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"])
            if message.get("text") is not None:
                self._call.push_event(message["text"])
