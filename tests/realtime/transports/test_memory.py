import asyncio

import pytest

from realtime.transports.memory import LossPattern, MemoryTransport, memory_pair
from tests.realtime.stage import Stage


async def everything(end: MemoryTransport[int]) -> list[int]:
    received = []
    while (thing := await end.receive()) is not None:
        received.append(thing)
    return received


async def test_what_one_end_sends_the_other_receives() -> None:
    here: MemoryTransport[int]
    here, there = memory_pair()
    for number in range(5):
        await here.send(number)
    await here.close()
    assert await everything(there) == [0, 1, 2, 3, 4]
    assert await there.receive() is None


async def test_losses_follow_their_pattern() -> None:
    here: MemoryTransport[int]
    here, there = memory_pair(LossPattern.parse("..x"))
    for number in range(7):
        await here.send(number)
    await here.close()
    assert await everything(there) == [0, 1, 3, 4, 6]
    assert (here.num_sent, here.num_lost) == (7, 2)


async def test_each_direction_has_losses_of_its_own() -> None:
    here: MemoryTransport[int]
    here, there = memory_pair(loss_back=LossPattern.parse("x."))
    await here.send(1)
    assert await there.receive() == 1
    for number in (2, 3):
        await there.send(number)
    assert await here.receive() == 3


async def test_a_full_transport_makes_its_sender_wait() -> None:
    here: MemoryTransport[int]
    here, there = memory_pair(max_waiting=1)
    await here.send(1)
    sending = asyncio.create_task(here.send(2))
    await asyncio.sleep(0)
    assert not sending.done()
    assert await there.receive() == 1
    await sending


async def test_nothing_can_be_sent_after_a_close_by_either_end() -> None:
    here: MemoryTransport[int]
    here, there = memory_pair()
    await here.close()
    await here.close()
    with pytest.raises(ConnectionError):
        await here.send(1)
    assert await there.receive() is None
    with pytest.raises(ConnectionError):
        await there.send(1)


@pytest.mark.parametrize("text", ["", "..y"])
def test_a_pattern_is_dots_and_crosses(text: str) -> None:
    with pytest.raises(ValueError, match="pattern of losses"):
        LossPattern.parse(text)


async def test_a_session_survives_any_client_event_that_is_lost() -> None:
    """Every other frame of a client vanishes; what arrives is answered."""
    client: MemoryTransport[str]
    client, server = memory_pair(LossPattern.parse("x."))
    stage = Stage()
    for number in range(6):
        await client.send(f'{{"type": "response.cancel", "event_id": "{number}"}}')
    await client.close()
    while (frame := await server.receive()) is not None:
        stage.send_raw(frame)
    assert [event["error"]["event_id"] for event in stage.client.of("error")] == ["1", "3", "5"]
