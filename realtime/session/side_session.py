"""An out-of-band response: an engine session of its own that reads its input, answers once, and is over.

Meets the scheduler like any session. Adds nothing to the conversation of the session that asked for it, whose client
sees its events beside all others.
"""

from collections.abc import Callable
from typing import Protocol

from realtime.protocol.ids import Ids
from realtime.protocol.objects import ResponseStatus, StatusError, StatusReason
from realtime.protocol.server_events import Send
from realtime.protocol.usage import UsageMeter
from realtime.scheduler import Demand
from realtime.session.context import Request, rewrite_of
from realtime.session.response_plan import ResponsePlan
from realtime.session.responses import ENDINGS, Response
from streams.types import Command, TickFailure, TickInput, TickOutput, TickWindow


class SideSlots(Protocol):
    """Where side sessions run."""

    def open_side(self, side: "SideSession") -> None:
        """Give `side` an engine slot and ticks. Raises `EngineFull` where no slot is free.

        May return before the engine has agreed; if it does not, `side.fail` says so.
        """
        ...

    def close_side(self, side: "SideSession") -> None:
        """Take both back. Called once for each that was opened, also if it failed."""
        ...


class SideSession:
    def __init__(self, name: str, plan: ResponsePlan, request: Request, ids: Ids, max_chars: int, send: Send) -> None:
        self.name = name
        self.response_id = plan.id
        self._send = send
        self._response = Response(plan, None, ids, max_chars)
        self._meter = UsageMeter()
        self._commands: tuple[Command, ...] = (rewrite_of(request.briefing, request.history or ()), request.respond)
        self._tick = 0
        self._on_end: Callable[[SideSession], None] = lambda side: None

    def start(self, on_end: Callable[["SideSession"], None]) -> None:
        """Announce the response. `on_end` is called once, when the engine is no longer needed."""
        self._on_end = on_end
        self._send(self._response.start())

    def cancel(self, reason: StatusReason) -> None:
        self._end("cancelled", reason)

    # --- for the scheduler ------------------------------------------------------------------------------------------

    def demand(self) -> Demand:
        return Demand.IDLE if self._response.is_done else Demand.FREE

    def take_window(self) -> TickWindow:
        commands, self._commands = self._commands, ()
        self._tick += 1
        return TickWindow(self.name, self._tick - 1, commands=commands)

    def note_input(self, tick_input: TickInput) -> None:
        """Side sessions are not recorded."""

    def deliver(self, output: TickOutput) -> None:
        if self._response.is_done:
            return
        if output.done:
            self._meter.push(output.usage, answering=True)
        self._send(self._response.push(output))
        if output.finish is not None:
            self._end(*ENDINGS[output.finish])
        elif self._response.is_full:
            self._end("incomplete", "max_output_tokens")

    def fail(self, failure: TickFailure) -> None:
        """The engine is gone, or had no slot after all."""
        if not self._response.is_done:
            error = StatusError(type="server_error", code="engine_failure", message=failure.reason)
            self._end("failed", error=error)

    def _end(
        self, status: ResponseStatus, reason: StatusReason | None = None, error: StatusError | None = None
    ) -> None:
        if not self._response.is_done:
            self._send(self._response.finish(status, self._meter.take(), reason, error))
            self._on_end(self)
