"""Clocks: fake time moves only when told, and wakes sleepers in a fixed order."""

import asyncio

import pytest

from streams.clock import FakeClock, SessionClock, SystemClock
from streams.types import TICK_US


async def test_fake_time_stands_still_until_it_is_advanced() -> None:
    clock = FakeClock(start_us=5)
    await clock.settle()
    assert clock.now_us() == 5
    await clock.advance_us(10)
    assert clock.now_us() == 15


async def test_sleepers_wake_by_deadline_and_then_by_age() -> None:
    clock = FakeClock()
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, deadline_us: int) -> None:
        await clock.sleep_until_us(deadline_us)
        woken.append((name, clock.now_us()))

    tasks = [asyncio.create_task(sleeper(n, d)) for n, d in (("late", 300), ("first", 100), ("second", 100))]
    await clock.advance_us(200)
    assert woken == [("first", 100), ("second", 100)]
    await clock.advance_us(100)
    assert woken[-1] == ("late", 300)
    await asyncio.gather(*tasks)


async def test_a_sleeper_may_sleep_again_within_one_advance() -> None:
    clock = FakeClock()
    moments: list[int] = []

    async def metronome() -> None:
        for beat in range(1, 4):
            await clock.sleep_until_us(beat * 100)
            moments.append(clock.now_us())

    task = asyncio.create_task(metronome())
    await clock.advance_us(1_000)
    assert moments == [100, 200, 300]
    assert clock.now_us() == 1_000
    await task


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep_until_us(100))
    await clock.settle()
    task.cancel()
    await clock.advance_us(1_000)
    assert task.cancelled()


async def test_a_deadline_in_the_past_returns_at_once() -> None:
    clock = FakeClock(start_us=100)
    await clock.sleep_until_us(50)
    assert clock.now_us() == 100


async def test_time_cannot_run_backwards() -> None:
    with pytest.raises(ValueError, match="-1"):
        await FakeClock().advance_us(-1)


async def test_the_system_clock_never_wakes_before_the_deadline() -> None:
    clock = SystemClock()
    deadline_us = clock.now_us() + 2_000
    await clock.sleep_until_us(deadline_us)
    assert clock.now_us() >= deadline_us


def test_session_time_starts_at_zero_and_counts_ticks() -> None:
    session = SessionClock(start_us=1_000_000)
    assert session.session_us(1_000_000) == 0
    assert session.session_us(999_999) == 0
    assert session.session_us(1_250_001) == TICK_US + 1
    assert [session.tick(1_000_000 + us) for us in (0, TICK_US - 1, TICK_US, 3 * TICK_US)] == [0, 0, 1, 3]
