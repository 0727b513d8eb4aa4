"""Session: one conversation over one open WebSocket. Commands go out, typed events come in.

A background task reads the socket. Events wait in a bounded queue for `async for`; when it is full the socket is
left unread and TCP slows the server down. Only while an `answer` is awaited are the oldest events dropped instead, and
counted, because the program may not be iterating at all. Nothing reconnects: a conversation lives in its connection.
"""

import asyncio
import itertools
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from omniweave_client import messages
from omniweave_client.answers import Answer, AnswerCollector
from omniweave_client.config import Output, SessionConfig
from omniweave_client.errors import ClientError, ConnectionLost, ServerError, SessionClosed, describe_close
from omniweave_client.events import Error, Event, ResponseDone, ResponseStarted, ResponseStatus
from omniweave_client.parsing import parse_event
from omniweave_client.pictures import Picture

MAX_QUEUED_EVENTS = 1_024
PIECE_SAMPLES = 24_000  # at most a second of sound in one frame
ALREADY_ANSWERING = "conversation_already_has_active_response"


class Direction(StrEnum):
    SENT = "sent"
    RECEIVED = "received"


Tap: TypeAlias = Callable[[Direction, str], None]  # sees every frame as it is sent or received


class _Pending:
    """One awaited answer. `was_busy` tells whether another answer was running when an error came."""

    def __init__(self, collector: AnswerCollector) -> None:
        self.collector = collector
        self.outcome: asyncio.Future[Answer | Error] = asyncio.get_running_loop().create_future()
        self.was_busy = False


class Session:
    """Made by `connect`. Any task may send; one task iterates."""

    def __init__(self, connection: ClientConnection, tap: Tap | None = None) -> None:
        self.id = ""
        self.model = ""
        self.config = SessionConfig()
        self.dropped_events = 0
        self._connection = connection
        self._tap = tap
        self._extended = False  # the server knows of an extension that was switched on
        self._queue: deque[Event] = deque()
        self._changed = asyncio.Condition()  # the queue, the active answers or the end
        self._active: set[str] = set()  # answers that have started and not ended
        self._pending: _Pending | None = None
        self._asking = asyncio.Lock()
        self._ended = False
        self._closing = False
        self._failure: ClientError | None = None
        self._reader: asyncio.Task[None] | None = None
        self._id_prefix = secrets.token_hex(4)
        self._id_numbers = itertools.count(1)

    # --- talking ------------------------------------------------------------------------------------------------

    async def send_text(self, text: str, *, respond: bool = True) -> str:
        """Say something in writing and, unless told otherwise, ask for an answer.

        Returns the id of the last event sent: with `respond`, `ResponseStarted.request_id` names it.
        """
        event_id = self._new_id()
        await self._send(messages.create_message(text, None, event_id))
        return await self.respond() if respond else event_id

    async def send_image(self, picture: Picture, text: str | None = None) -> str:
        """Put a picture, after an optional text, into the conversation. Asks for nothing."""
        event_id = self._new_id()
        await self._send(await asyncio.to_thread(messages.create_message, text, picture, event_id))
        return event_id

    async def send_audio(self, pcm: NDArray[np.generic]) -> None:
        """Sound as it is heard: float32 [-1, 1] or int16, mono, 24 kHz. Any length; nothing is paced here."""
        for start in range(0, len(pcm), PIECE_SAMPLES):
            await self._send(messages.append_audio(pcm[start : start + PIECE_SAMPLES]))

    async def send_frame(self, picture: Picture) -> None:
        """One video frame: JPEG bytes, or RGB [H, W, 3]. Only in sessions with `video`; four a second are used."""
        encoded = isinstance(picture, bytes)
        frame = messages.append_frame(picture) if encoded else await asyncio.to_thread(messages.append_frame, picture)
        await self._send(frame)

    async def commit(self) -> None:
        """End the spoken turn here. Starts no answer."""
        await self._send(messages.commit_audio())

    async def clear(self) -> None:
        """Forget the sound that no turn holds yet."""
        await self._send(messages.clear_audio())

    async def respond(
        self,
        *,
        instructions: str | None = None,
        output: Output | None = None,
        max_output_tokens: int | None = None,
    ) -> str:
        """Ask for an answer; what is given holds for this answer only. Returns the request's id."""
        event_id = self._new_id()
        await self._send(messages.create_response(event_id, instructions, output, max_output_tokens))
        return event_id

    async def cancel(self, response_id: str | None = None) -> None:
        """Stop the given answer, or whichever is running. With none running, an `Error` event says so."""
        await self._send(messages.cancel_response(response_id))

    async def call_output(self, call_id: str, output: str) -> str:
        """What the called function returned. Ask for the answer with `respond`, after the calling one is done."""
        event_id = self._new_id()
        await self._send(messages.create_call_output(call_id, output, event_id))
        return event_id

    async def update(self, config: SessionConfig) -> str:
        """Change the session; `SessionUpdated`, or an `Error` that names the returned id, follows."""
        event_id = self._new_id()
        await self._send(messages.update_session(config, event_id, self._extended))
        self._extended = self._extended or config.is_extended
        self.config = config
        return event_id

    @property
    def is_answering(self) -> bool:
        return bool(self._active)

    # --- asking -------------------------------------------------------------------------------------------------

    async def ask(self, text: str, picture: Picture | None = None) -> str:
        """Ask, wait, and return the whole text of the answer. Raises `ServerError` if there is none."""
        answer = await self.answer(text, picture)
        if answer.status is ResponseStatus.FAILED:
            raise ServerError(answer.reason or "the answer failed", code=None)
        return answer.text

    async def answer(self, text: str, picture: Picture | None = None) -> Answer:
        """Ask, wait, and return the answer with its timings. Questions queue up; other answers end first.

        Works beside an `async for`, which sees the same events. Cancelling it cancels the answer.
        """
        async with self._asking:
            item_id = self._new_id()
            frame = await asyncio.to_thread(messages.create_message, text, picture, item_id)
            await self._send(frame)
            while True:
                await self.until_idle()
                pending, outcome = await self._request(item_id)
                if isinstance(outcome, Answer):
                    return outcome
                if outcome.code != ALREADY_ANSWERING or not pending.was_busy:
                    raise ServerError(outcome.message, outcome.code, outcome.param)

    async def _request(self, item_id: str) -> tuple[_Pending, Answer | Error]:
        request_id = self._new_id()
        pending = _Pending(AnswerCollector(request_id, (item_id, request_id), _now_us()))
        self._pending = pending
        await self._wake()  # the reader may be waiting for room
        try:
            await self._send(messages.create_response(request_id))
            return pending, await pending.outcome
        except asyncio.CancelledError:
            if pending.collector.response_id is not None:
                with suppress(ClientError):
                    await self.cancel(pending.collector.response_id)
            raise
        finally:
            self._pending = None

    async def until_idle(self) -> None:
        """Wait until no answer is running."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._active or self._ended)

    # --- listening ----------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event. Ends when the session is closed normally; raises `ConnectionLost` when it broke."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._queue or self._ended)
            if self._queue:
                event = self._queue.popleft()
                self._changed.notify_all()
                return event
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def _read(self) -> None:
        """Life of the reader: every frame becomes an event, is looked at, and queued, until the socket ends."""
        try:
            async for frame in self._connection:
                event = self._parse(frame)
                self._observe(event)
                await self._enqueue(event)
        except ConnectionClosed as closed:
            self._failure = ConnectionLost(describe_close(closed))
        finally:
            self._ended = True
            if self._pending is not None and not self._pending.outcome.done():
                self._pending.outcome.set_exception(self._failure or SessionClosed("the server ended the session"))
            await self._wake()

    def _parse(self, frame: str | bytes) -> Event:
        if self._tap is not None:
            self._tap(Direction.RECEIVED, frame if isinstance(frame, str) else frame.decode(errors="replace"))
        return parse_event(frame)

    def _observe(self, event: Event) -> None:
        if isinstance(event, ResponseStarted):
            self._active.add(event.response_id)
        pending = self._pending
        if pending is not None and not pending.outcome.done():
            outcome = pending.collector.push(event, _now_us())
            if outcome is not None:
                pending.was_busy = bool(self._active)
                pending.outcome.set_result(outcome)
        if isinstance(event, ResponseDone):
            self._active.discard(event.response_id)

    async def _enqueue(self, event: Event) -> None:
        async with self._changed:
            await self._changed.wait_for(
                lambda: len(self._queue) < MAX_QUEUED_EVENTS or self._pending is not None or self._closing
            )
            if len(self._queue) >= MAX_QUEUED_EVENTS:
                self._queue.popleft()
                self.dropped_events += 1
            self._queue.append(event)
            self._changed.notify_all()

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # --- life ---------------------------------------------------------------------------------------------------

    async def receive_greeting(self) -> Event:
        """One event, read directly: for `connect`, before `start`."""
        try:
            event = self._parse(await self._connection.recv())
        except ConnectionClosed as closed:
            raise ConnectionLost(describe_close(closed)) from None
        self._queue.append(event)
        return event

    def start(self) -> None:
        self._reader = asyncio.create_task(self._read(), name="omniweave-client reader")

    async def close(self) -> None:
        """Say goodbye and stop. Safe to call twice."""
        self._closing = True
        await self._wake()
        await self._connection.close()
        if self._reader is not None:
            await self._reader

    def _new_id(self) -> str:
        return f"{self._id_prefix}-{next(self._id_numbers)}"

    async def _send(self, frame: messages.Frame) -> None:
        """Waits while the socket's buffer is full: the server's pace is the program's pace."""
        try:
            await self._connection.send(frame)
        except ConnectionClosedOK:
            raise SessionClosed("the session has ended") from None
        except ConnectionClosed as closed:
            raise ConnectionLost(describe_close(closed)) from None
        if self._tap is not None:
            self._tap(Direction.SENT, frame)


def _now_us() -> int:
    return time.monotonic_ns() // 1_000
