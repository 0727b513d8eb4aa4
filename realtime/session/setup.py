"""What a session is given at its start and does not make itself: its name, its clock, its ids, its surroundings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from realtime.engine import EngineInfo
from realtime.protocol.ids import Ids
from realtime.protocol.session_patch import SessionPatch
from realtime.session.limits import SessionLimits
from realtime.session.side_session import SideSlots
from realtime.session.vad import Silero, VoiceActivity
from streams.types import TickFailure, TickInput, TickOutput, TickWindow


class SessionTap(Protocol):
    """Something that sees all that a session sees and says, such as a recorder. Never raises, never waits."""

    def window(self, window: TickWindow) -> None: ...

    def input(self, tick_input: TickInput) -> None: ...

    def output(self, output: TickOutput) -> None: ...

    def failure(self, failure: TickFailure) -> None: ...

    def client_event(self, text: str, pts_us: int) -> None: ...

    def server_event(self, text: str, pts_us: int) -> None: ...


def _nobody() -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class SessionSetup:
    """`name` is the session's id on the wire and its name in the engine.

    `wake` is called when the session may need ticks, `notify` when its outbox has something or it has closed; both
    must return at once and not call back. `patch` is the configuration that a client secret carries.
    """

    name: str
    info: EngineInfo
    ids: Ids
    now_us: Callable[[], int]
    expires_at: int  # unix seconds
    limits: SessionLimits = field(default_factory=SessionLimits)
    patch: SessionPatch = field(default_factory=SessionPatch)
    make_activity: Callable[[], VoiceActivity] = Silero
    sides: SideSlots | None = None
    tap: SessionTap | None = None
    wake: Callable[[], None] = _nobody
    notify: Callable[[], None] = _nobody
