"""The answers of one conversation, one at a time: from a request to the engine and from its outputs to the client.

`begin` asks for an answer, `deliver` takes what the engine made of it, `cancel` and `fail` end it early. An engine
that paces itself may also begin by itself: what it says unasked becomes a response of its own.
"""

from collections.abc import Callable
from typing import Final

from realtime.protocol.objects import ResponseStatus, StatusError, StatusReason
from realtime.protocol.server_events import Send
from realtime.protocol.usage import UsageMeter
from realtime.session.context import Context, Request
from realtime.session.conversation import Conversation
from realtime.session.response_plan import ResponsePlan
from realtime.session.responses import ENDINGS, Response
from realtime.session.setup import SessionSetup
from streams.types import TickOutput

SILENT_TICKS_TO_END: Final = 2  # 500 ms without output end an answer that nobody asked for


class Answers:
    """`unasked` plans a response that the engine starts by itself."""

    def __init__(
        self,
        setup: SessionSetup,
        conversation: Conversation,
        context: Context,
        unasked: Callable[[], ResponsePlan],
        send: Send,
    ) -> None:
        self._conversation = conversation
        self._context = context
        self._ids = setup.ids
        self._max_chars = setup.limits.max_response_chars
        self._now_us = setup.now_us
        self._unasked = unasked
        self._send = send
        self._meter = UsageMeter()
        self._response: Response | None = None
        self._was_asked = False
        self._tick_said = False  # whether this tick's outputs so far say something
        self._silent_ticks = 0
        self._is_muted = False  # what the engine says unasked is dropped until it pauses
        self._heard_from_us: int | None = None
        self._plays_until_us = 0

    # --- from the session -------------------------------------------------------------------------------------------

    @property
    def active_id(self) -> str | None:
        return self._response.plan.id if self._response is not None else None

    @property
    def remaining_ms(self) -> int:
        """How long the latest answer will still be heard by a client that plays it as it came."""
        return max(self._plays_until_us - self._now_us(), 0) // 1000

    def begin(self, plan: ResponsePlan, request: Request) -> None:
        """Announce a response and ask the engine for it."""
        self._start(plan, was_asked=True)
        self._context.respond(request)

    def refuse(self, plan: ResponsePlan, code: str, message: str) -> None:
        """Announce a response that fails at once."""
        error = StatusError(type="server_error", code=code, message=message)
        response = Response(plan, self._conversation, self._ids, self._max_chars)
        self._send([*response.start(), *response.finish("failed", None, error=error)])

    def cancel(self, reason: StatusReason) -> None:
        """End the active response now, and the engine's work on it with the next tick."""
        if self._response is not None:
            self._stop("cancelled", reason)

    def fail(self, code: str, message: str) -> None:
        """The engine is gone."""
        if self._response is not None:
            self._end("failed", error=StatusError(type="server_error", code=code, message=message))

    def note_rewrite(self) -> None:
        """The model's sequence begins anew with this tick."""
        self._meter.restart()

    # --- from the engine --------------------------------------------------------------------------------------------

    def deliver(self, output: TickOutput) -> None:
        """One output of the engine, whether or not somebody still waits for it."""
        is_unasked = output.response is None
        self._tick_said = self._tick_said or _says_something(output)
        if is_unasked and self._response is None and _says_something(output) and not self._is_muted:
            plan = self._unasked()
            if plan.shows(output):
                self._start(plan, was_asked=False)
        is_ours = self._response is not None and self._is_for_active(output)
        if output.done:
            self._meter.push(output.usage, answering=is_ours)
        if output.response is not None and output.finish is not None:
            self._context.finish(output.response)
        if is_ours:
            self._advance(output)
        if output.done:
            self._is_muted = self._is_muted and (self._tick_said or not is_unasked)
            self._tick_said = False

    def _is_for_active(self, output: TickOutput) -> bool:
        return output.response == self.active_id if self._was_asked else output.response is None

    def _advance(self, output: TickOutput) -> None:
        assert self._response is not None
        if output.pcm is not None and self._heard_from_us is None:
            self._heard_from_us = self._now_us()
        self._send(self._response.push(output))
        if output.finish is not None:
            self._end(*ENDINGS[output.finish])
        elif self._response.is_full:
            self._stop("incomplete", "max_output_tokens")
        elif not self._was_asked and output.done:
            self._silent_ticks = 0 if self._tick_said else self._silent_ticks + 1
            if self._silent_ticks == SILENT_TICKS_TO_END:
                self._end("completed")

    # --- both -------------------------------------------------------------------------------------------------------

    def _start(self, plan: ResponsePlan, was_asked: bool) -> None:
        self._response = Response(plan, self._conversation, self._ids, self._max_chars)
        self._was_asked = was_asked
        self._silent_ticks = 0
        self._heard_from_us = None
        self._send(self._response.start())

    def _stop(self, status: ResponseStatus, reason: StatusReason) -> None:
        self._is_muted = not self._was_asked
        self._context.hold()
        self._end(status, reason)

    def _end(
        self, status: ResponseStatus, reason: StatusReason | None = None, error: StatusError | None = None
    ) -> None:
        assert self._response is not None
        response, self._response = self._response, None
        if self._heard_from_us is not None and status == "completed":  # a client stops playing what was cut off
            self._plays_until_us = self._heard_from_us + response.spoken_ms * 1000
        self._send(response.finish(status, self._meter.take(), reason, error))


def _says_something(output: TickOutput) -> bool:
    return bool(output.text or output.tool_calls) or output.pcm is not None or output.image is not None
