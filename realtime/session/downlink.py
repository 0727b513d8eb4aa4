"""The way from one session to its client: events into the outbox and past the tap, until the session is over.

All parts of a session send through it, and it knows none of them: an ended session has no cycle of references, so it
is freed at once. An outbox that overflows ends the session.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from realtime.protocol.server_events import ServerEvent
from realtime.session.outbox import Outbox
from realtime.session.setup import SessionSetup


class CloseKind(StrEnum):
    CLIENT_LEFT = "client_left"
    SLOW_CLIENT = "slow_client"
    ENGINE_FAILED = "engine_failed"
    EXPIRED = "expired"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class Closing:
    """Why a session is over."""

    kind: CloseKind
    message: str


class Downlink:
    def __init__(self, setup: SessionSetup) -> None:
        self.outbox = Outbox(setup.ids, setup.limits.max_outbox_events, setup.limits.max_outbox_bytes)
        self.closing: Closing | None = None
        self.pts_us = 0  # session time, kept by the session
        self._tap = setup.tap
        self._notify = setup.notify

    def send(self, events: Sequence[ServerEvent]) -> None:
        """Queue `events`. After the session's end nothing is said any more."""
        if self.closing is not None or not events:
            return
        for event in events:
            outgoing = self.outbox.push(event)
            if outgoing is None:
                self.close(CloseKind.SLOW_CLIENT, "the client does not read what it is sent")
                return
            if self._tap is not None:
                self._tap.server_event(outgoing.frame, self.pts_us)
        self._notify()

    def close(self, kind: CloseKind, message: str) -> None:
        """The session is over. Only the first call does anything."""
        if self.closing is None:
            self.closing = Closing(kind, message)
            self._notify()
