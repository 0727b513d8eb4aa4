"""Which events a client has: those it was sent, less those that aiortc's SCTP still waits to have acknowledged.

What was not acknowledged on a connection that is lost is sent again on the next one, so a client that resumes its
session misses no event. Reads private queues of aiortc; a test checks that they still mean this.
"""

from collections import deque
from typing import Final

from aiortc import RTCDataChannel
from aiortc.rtcsctptransport import SCTP_DATA_LAST_FRAG, WEBRTC_DCEP

MAX_KEPT_EVENTS: Final = 8_192  # as many as a session's outbox holds


def num_undelivered(channel: RTCDataChannel) -> int:
    """How many of the messages given to `channel` are not acknowledged, in order: always the latest ones."""
    transport = channel.transport
    chunks = [*transport._sent_queue, *transport._outbound_queue]
    ends = [chunk for chunk in chunks if chunk.stream_id == channel.id and chunk.flags & SCTP_DATA_LAST_FRAG]
    begun = [chunk for chunk in ends if chunk.protocol != WEBRTC_DCEP]
    waiting = [entry for entry in transport._data_channel_queue if entry[0] is channel and entry[1] != WEBRTC_DCEP]
    return len(begun) + len(waiting)


class SentEvents:
    """The latest messages sent, as far as they may have to be sent again."""

    def __init__(self) -> None:
        self._messages: deque[str] = deque(maxlen=MAX_KEPT_EVENTS)

    def push(self, message: str, num_undelivered: int) -> None:
        """Remember a message just sent; of it and those before, `num_undelivered` are not acknowledged."""
        self._messages.append(message)
        self.trim(num_undelivered)

    def trim(self, num_undelivered: int) -> None:
        while len(self._messages) > num_undelivered:
            self._messages.popleft()

    def pop_all(self) -> list[str]:
        """What has to be sent again."""
        messages = list(self._messages)
        self._messages.clear()
        return messages
