"""TickScheduler: decides which sessions tick together, and when. The only part of the server that waits for time.

Enters: sessions that say what they need, and the clock. Leaves: one batch at a time for the engine, what the engine
made of it for each session, and a `TickReport` of every tick. It knows nothing of transports, media or models.

Live sessions tick on one grid of 250 ms. Free sessions tick as often as the engine can in the slack between, but only
where that would not delay the grid; one that found no slack rides with the next live tick, so it never starves. A
deadline that passes while the engine is busy is served late; where several passed, the last is served and the others
are counted as skipped, so there is no burst of ticks to make up. Sessions whose sound piled up meanwhile ask for free
ticks themselves.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeAlias

from realtime.capacity import Capacity
from realtime.worker import Report, TickEvent
from streams.clock import Clock
from streams.types import TICK_US, TickFailure, TickInput, TickOutput, TickWindow

logger = logging.getLogger(__name__)


class Demand(Enum):
    """What a session needs of the scheduler now."""

    IDLE = auto()  # no tick: nothing came in and nothing is being answered
    FREE = auto()  # ticks as fast as they can be had: typed chat, uploads, sound that piled up
    LIVE = auto()  # a tick every 250 ms: a microphone is open


class TickSession(Protocol):
    """A session as the scheduler sees it. None of these may block; what they raise ends the session."""

    @property
    def name(self) -> str: ...

    def demand(self) -> Demand: ...

    def take_window(self) -> TickWindow:
        """What reached the session for its next tick. Called once per tick, never while one is in flight."""
        ...

    def note_input(self, tick_input: TickInput) -> None:
        """What the engine is about to step, for the recording."""
        ...

    def deliver(self, output: TickOutput) -> None: ...

    def fail(self, failure: TickFailure) -> None:
        """The session is over; the scheduler has removed it already."""
        ...


@dataclass(frozen=True, slots=True)
class TickReport:
    """One tick, as the scheduler saw it.

    `live` and `free` sessions shared it; `waiting` others wanted one and were left for the slack after it. `late_us`
    is how long after its deadline a live tick began; `skipped` deadlines before it were given up.
    """

    live: int
    free: int
    waiting: int
    started_us: int
    duration_us: int
    late_us: int = 0
    skipped: int = 0

    @property
    def num_sessions(self) -> int:
        return self.live + self.free

    @property
    def overran(self) -> bool:
        """Whether a live tick ended after the deadline of the next."""
        return self.live > 0 and self.late_us + self.duration_us > TICK_US


RunTick: TypeAlias = Callable[[Sequence[TickWindow], Report], Awaitable[None]]
Observe: TypeAlias = Callable[[TickReport], None]


@dataclass(slots=True, eq=False)
class _Entry:
    session: TickSession
    tick: int = 0  # the last one begun
    had_slack: bool = False  # it ticked since the last deadline


@dataclass(frozen=True, slots=True)
class _Batch:
    live: list[_Entry]
    free: list[_Entry]
    waiting: int
    late_us: int = 0
    skipped: int = 0


class TickScheduler:
    """Runs ticks through `run_tick` (`EngineWorker.tick`), one batch at a time."""

    def __init__(self, run_tick: RunTick, clock: Clock, capacity: Capacity, observe: Observe) -> None:
        self._run_tick = run_tick
        self._clock = clock
        self._capacity = capacity
        self._observe = observe
        self._entries: dict[str, _Entry] = {}
        self._ticking: dict[str, _Entry] = {}  # empty between ticks
        self._woken = asyncio.Event()
        self._deadline_us = 0  # the next of the grid
        self._any_live = False

    def add(self, session: TickSession) -> None:
        if session.name in self._entries:
            raise ValueError(f"session {session.name!r} is scheduled already")
        self._entries[session.name] = _Entry(session)
        self.wake()

    def remove(self, name: str) -> None:
        """Forget a session; the outcome of a tick in flight no longer reaches it. An unknown name is no error."""
        self._entries.pop(name, None)

    def wake(self) -> None:
        """Look again at what sessions need. To be called when a session's demand rose, not for every packet."""
        self._woken.set()

    async def run(self) -> None:
        """The life of a tick, over and over, until cancelled."""
        self._deadline_us = self._clock.now_us() + TICK_US
        while True:
            self._woken.clear()
            batch = self._choose(*self._ask_sessions())
            if batch is None:
                await self._wait_until(self._deadline_us if self._any_live else None)
            else:
                await self._tick(batch)

    async def _tick(self, batch: _Batch) -> None:
        """One tick, of which nothing is kept: sessions that left meanwhile are free to go."""
        windows = self._take_windows(batch.live + batch.free)
        started_us = self._clock.now_us()
        if windows:
            await self._run_tick(windows, self._route)
        self._account(batch, started_us)
        self._ticking.clear()

    # --- before the tick --------------------------------------------------------------------------------------------

    def _ask_sessions(self) -> tuple[list[_Entry], list[_Entry]]:
        live: list[_Entry] = []
        free: list[_Entry] = []
        for entry in list(self._entries.values()):
            with self._guard(entry):
                demand = entry.session.demand()
                if demand is Demand.LIVE:
                    live.append(entry)
                elif demand is Demand.FREE:
                    free.append(entry)
        return live, free

    def _choose(self, live: list[_Entry], free: list[_Entry]) -> _Batch | None:
        """Who ticks now; None where it is better to wait."""
        now_us = self._clock.now_us()
        passed = max((now_us - self._deadline_us) // TICK_US + 1, 0)  # deadlines that are due
        if not self._any_live:  # deadlines that passed while nobody was live were nobody's
            self._deadline_us += passed * TICK_US
            passed = 0
        self._any_live = bool(live)
        if live and passed:
            return self._choose_live(live, free, now_us, passed)
        if free and (not live or self._capacity.fits(len(free), self._deadline_us - now_us)):
            for entry in free:
                entry.had_slack = True
            return _Batch([], free, waiting=0)
        return None

    def _choose_live(self, live: list[_Entry], free: list[_Entry], now_us: int, passed: int) -> _Batch:
        """Serve the last deadline that passed; free sessions that had no slack before it ride along."""
        served_us = self._deadline_us + (passed - 1) * TICK_US
        self._deadline_us = served_us + TICK_US
        riding = [entry for entry in free if not entry.had_slack]
        for entry in self._entries.values():
            entry.had_slack = False
        return _Batch(live, riding, len(free) - len(riding), late_us=now_us - served_us, skipped=passed - 1)

    async def _wait_until(self, deadline_us: int | None) -> None:
        """Return at the deadline, or earlier when somebody wakes us."""
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self._woken.wait())]
        if deadline_us is not None:
            waits.append(asyncio.create_task(self._clock.sleep_until_us(deadline_us)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _take_windows(self, entries: list[_Entry]) -> list[TickWindow]:
        windows: list[TickWindow] = []
        for entry in entries:
            with self._guard(entry):
                window = entry.session.take_window()
                windows.append(window)
                entry.tick = window.tick
                self._ticking[window.session] = entry
        return windows

    # --- during and after it ----------------------------------------------------------------------------------------

    def _route(self, event: TickEvent) -> None:
        """Hand what the engine made to its session, unless that left while the tick ran."""
        entry = self._ticking.get(event.session)
        if entry is None or self._entries.get(event.session) is not entry:
            return
        with self._guard(entry):
            if isinstance(event, TickInput):
                entry.session.note_input(event)
            elif isinstance(event, TickOutput):
                entry.session.deliver(event)
            else:
                self.remove(event.session)
                entry.session.fail(event)

    @contextmanager
    def _guard(self, entry: _Entry) -> Iterator[None]:
        """Whatever a session's own code raises ends that session, and only that."""
        try:
            yield
        except Exception as error:
            name = entry.session.name
            logger.exception("session %s failed", name)
            if self._entries.get(name) is not entry:
                return  # it was ending already
            self.remove(name)
            with self._guard(entry):
                entry.session.fail(TickFailure(name, entry.tick, f"{type(error).__name__}: {error}"))

    def _account(self, batch: _Batch, started_us: int) -> None:
        duration_us = self._clock.now_us() - started_us
        ticked = set(self._ticking.values())
        report = TickReport(
            live=sum(entry in ticked for entry in batch.live),
            free=sum(entry in ticked for entry in batch.free),
            waiting=batch.waiting,
            started_us=started_us,
            duration_us=duration_us,
            late_us=batch.late_us,
            skipped=batch.skipped,
        )
        if report.num_sessions:
            self._capacity.learn(report.num_sessions, duration_us, live=report.live > 0)
        self._observe(report)
