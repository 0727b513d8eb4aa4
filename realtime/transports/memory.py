"""Two ends in one process: what one sends the other receives, in order, but for what a pattern loses.

For tests of anything that speaks over a transport, text frames as well as packets. Losses depend on nothing but the
count of what was sent. Never sleeps; `receive` waits for the other end.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LossPattern:
    """Which of the things sent are lost, over and over: `LossPattern.parse("..x")` loses every third."""

    is_lost: Sequence[bool] = (False,)

    def __post_init__(self) -> None:
        if not self.is_lost:
            raise ValueError("a pattern of losses needs at least one step")

    @classmethod
    def parse(cls, text: str) -> "LossPattern":
        """`.` arrives, `x` is lost."""
        if not text or set(text) - set(".x"):
            raise ValueError(f"a pattern of losses is written with '.' and 'x', got {text!r}")
        return cls(tuple(letter == "x" for letter in text))

    def loses(self, number: int) -> bool:
        """Whether the `number`th thing sent is lost, counted from 0."""
        return self.is_lost[number % len(self.is_lost)]


class MemoryTransport(Generic[T]):
    """One end. `memory_pair` makes two that belong together."""

    def __init__(self, inbox: "asyncio.Queue[T | None]", outbox: "asyncio.Queue[T | None]", loss: LossPattern) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._loss = loss
        self._is_open = True
        self.num_sent = 0
        self.num_lost = 0

    async def send(self, thing: T) -> None:
        """Hand `thing` to the other end, waiting while that has too much to read. Raises once either end is closed."""
        if not self._is_open:
            raise ConnectionError("this end of the transport is closed")
        lost = self._loss.loses(self.num_sent)
        self.num_sent += 1
        if lost:
            self.num_lost += 1
            return
        await self._outbox.put(thing)

    async def receive(self) -> T | None:
        """The next thing that arrived; None once the other end is closed and everything was read."""
        if not self._is_open and self._inbox.empty():
            return None
        thing = await self._inbox.get()
        if thing is None:
            self._is_open = False
        return thing

    async def close(self) -> None:
        """Say that nothing more comes. The other end still reads what was sent."""
        if self._is_open:
            self._is_open = False
            await self._outbox.put(None)


def memory_pair(
    loss: LossPattern | None = None, loss_back: LossPattern | None = None, max_waiting: int = 1_000
) -> tuple[MemoryTransport[T], MemoryTransport[T]]:
    """Two connected ends. `loss` is what the first loses on the way to the second, `loss_back` the reverse."""
    there: asyncio.Queue[T | None] = asyncio.Queue(max_waiting)
    back: asyncio.Queue[T | None] = asyncio.Queue(max_waiting)
    return (
        MemoryTransport(back, there, loss or LossPattern()),
        MemoryTransport(there, back, loss_back or LossPattern()),
    )
