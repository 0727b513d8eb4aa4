import json
import random

from realtime.protocol.ids import Ids
from realtime.protocol.server_events import InputAudioBufferCleared, ResponseOutputTextDelta
from realtime.session.outbox import Outbox


def outbox(max_events: int = 10, max_bytes: int = 10_000) -> Outbox:
    return Outbox(Ids(random.Random(1)), max_events, max_bytes)


def test_events_leave_in_order_with_ids_of_their_own() -> None:
    box = outbox()
    for word in ("a", "b"):
        box.push(ResponseOutputTextDelta(delta=word))
    first, second = box.pop(), box.pop()
    assert first is not None
    assert second is not None
    assert [json.loads(out.frame)["delta"] for out in (first, second)] == ["a", "b"]
    assert first.event.event_id != second.event.event_id
    assert box.pop() is None
    assert box.num_bytes == 0


def test_too_many_events_close_the_outbox_for_good() -> None:
    box = outbox(max_events=2)
    assert box.push(InputAudioBufferCleared()) is not None
    assert box.push(InputAudioBufferCleared()) is not None
    assert box.push(InputAudioBufferCleared()) is None
    assert box.overflowed
    assert len(box) == 0
    assert box.push(InputAudioBufferCleared()) is None
    assert box.pop() is None


def test_too_many_bytes_close_it_too() -> None:
    box = outbox(max_bytes=500)
    assert box.push(ResponseOutputTextDelta(delta="x" * 100)) is not None
    assert box.push(ResponseOutputTextDelta(delta="x" * 300)) is None
    assert box.overflowed


def test_a_client_that_reads_can_be_sent_any_amount() -> None:
    box = outbox(max_events=1)
    for _ in range(100):
        assert box.push(InputAudioBufferCleared()) is not None
        assert box.pop() is not None
