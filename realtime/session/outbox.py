"""Events on their way to one client: stamped with an id, encoded, and bounded in number and bytes.

The session pushes, the transport pops. An outbox that overflows drops everything and stays closed: a client that does
not read cannot be given a stream with holes in it.
"""

from collections import deque
from dataclasses import dataclass

from realtime.protocol.ids import Ids
from realtime.protocol.server_events import ServerEvent
from realtime.protocol.wire import encode_server_event


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event and the text of its frame."""

    event: ServerEvent
    frame: str


class Outbox:
    def __init__(self, ids: Ids, max_events: int, max_bytes: int) -> None:
        self._ids = ids
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._queue: deque[Outgoing] = deque()
        self._num_bytes = 0
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def num_bytes(self) -> int:
        return self._num_bytes

    def push(self, event: ServerEvent) -> Outgoing | None:
        """Queue `event`. None once the outbox has overflowed, by this event or an earlier one."""
        if self.overflowed:
            return None
        event.event_id = self._ids.event()
        outgoing = Outgoing(event, encode_server_event(event))
        if len(self._queue) == self._max_events or self._num_bytes + len(outgoing.frame) > self._max_bytes:
            self.overflowed = True
            self._queue.clear()
            self._num_bytes = 0
            return None
        self._queue.append(outgoing)
        self._num_bytes += len(outgoing.frame)
        return outgoing

    def pop(self) -> Outgoing | None:
        """The next event to send, or None where there is none."""
        if not self._queue:
            return None
        outgoing = self._queue.popleft()
        self._num_bytes -= len(outgoing.frame)
        return outgoing
