"""Where time comes from: the one module of this package that reads a clock or sleeps.

Everything else takes time as an argument. `SystemClock` is the machine's monotonic clock; `FakeClock` moves only
when a test says so and wakes sleepers in a fixed order. `SessionClock` maps clock time to a session's own time.
"""

import asyncio
import heapq
import time
from dataclasses import dataclass
from typing import Protocol

from streams.types import TICK_US


class Clock(Protocol):
    """A monotonic clock in microseconds. Its zero is arbitrary."""

    def now_us(self) -> int: ...

    async def sleep_until_us(self, deadline_us: int) -> None:
        """Return once `now_us()` is at least `deadline_us`; a deadline in the past only yields to the loop."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now_us(self) -> int:
        return time.monotonic_ns() // 1_000

    async def sleep_until_us(self, deadline_us: int) -> None:
        # A loop's timer may fire a little early where its clock is coarser than ours.
        while True:
            remaining_us = deadline_us - self.now_us()
            await asyncio.sleep(max(remaining_us, 0) / 1_000_000)
            if self.now_us() >= deadline_us:
                return


class FakeClock:
    """Time that stands still until `advance_us`, which wakes sleepers one by one: by deadline, then by age."""

    # Turns of the event loop given to everyone who was woken before time goes on. A chain of awaits longer than
    # this within one moment would need more; none of ours has ten.
    SETTLE_TURNS = 50

    def __init__(self, start_us: int = 0) -> None:
        self._now_us = start_us
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._num_sleeps = 0

    def now_us(self) -> int:
        return self._now_us

    async def sleep_until_us(self, deadline_us: int) -> None:
        if deadline_us <= self._now_us:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._num_sleeps += 1
        heapq.heappush(self._sleepers, (deadline_us, self._num_sleeps, woken))
        await woken

    async def advance_us(self, duration_us: int) -> None:
        """Move time on by `duration_us`, stopping at each deadline on the way until its sleeper has had its turn."""
        if duration_us < 0:
            raise ValueError(f"time does not run backwards: advance by {duration_us} us")
        target_us = self._now_us + duration_us
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target_us:
            deadline_us, _, woken = heapq.heappop(self._sleepers)
            if woken.done():  # its sleeper was cancelled
                continue
            self._now_us = max(self._now_us, deadline_us)
            woken.set_result(None)
            await self.settle()
        self._now_us = target_us

    async def settle(self) -> None:
        """Let every task that can run do so, without moving time."""
        for _ in range(self.SETTLE_TURNS):
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class SessionClock:
    """Session time: microseconds since the session began at `start_us` of the clock, never negative."""

    start_us: int

    def session_us(self, now_us: int) -> int:
        return max(now_us - self.start_us, 0)

    def tick(self, now_us: int) -> int:
        """The tick of 250 ms that `now_us` falls into, counted from the session's start."""
        return self.session_us(now_us) // TICK_US
