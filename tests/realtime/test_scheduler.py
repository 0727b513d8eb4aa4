"""TickScheduler: one grid for the live, the slack for the free, and nobody harms another. All time is fake."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from realtime.capacity import Capacity
from realtime.scheduler import Demand, TickReport, TickScheduler
from realtime.worker import Report
from streams.clock import FakeClock
from streams.types import TICK_US, TickFailure, TickInput, TickOutput, TickWindow

MS = 1_000


class FakeSession:
    """Needs what the test says, and notes what it gets."""

    def __init__(self, name: str, demand: Demand) -> None:
        self.name = name
        self.needs = demand
        self.free_ticks_left: int | None = None
        self.tick = 0
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.failures: list[TickFailure] = []
        self.raises_in = ""

    def demand(self) -> Demand:
        self._maybe_raise("demand")
        return self.needs

    def take_window(self) -> TickWindow:
        self._maybe_raise("take_window")
        window = TickWindow(self.name, self.tick)
        self.tick += 1
        if self.free_ticks_left is not None:
            self.free_ticks_left -= 1
            if not self.free_ticks_left:
                self.needs = Demand.IDLE
        return window

    def note_input(self, tick_input: TickInput) -> None:
        self._maybe_raise("note_input")
        self.inputs.append(tick_input.tick)

    def deliver(self, output: TickOutput) -> None:
        self._maybe_raise("deliver")
        self.outputs.append(output.tick)

    def fail(self, failure: TickFailure) -> None:
        self.failures.append(failure)
        self._maybe_raise("fail")

    def _maybe_raise(self, place: str) -> None:
        if place in self.raises_in.split():
            raise RuntimeError(f"broken {place}")


class FakeWorker:
    """Takes the fake time that the test says for each tick; `batches` shows who ticked when."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.cost_us = 10 * MS
        self.costs_us: list[int] = []  # of the next ticks, before `cost_us` counts
        self.fails: set[str] = set()
        self.batches: list[tuple[int, str]] = []
        self.in_flight = 0

    async def tick(self, windows: Sequence[TickWindow], report: Report) -> None:
        self.in_flight += 1
        assert self.in_flight == 1
        self.batches.append((self.clock.now_us() // MS, " ".join(window.session for window in windows)))
        for window in windows:
            report(TickInput(window.session, window.tick))
        cost_us = self.costs_us.pop(0) if self.costs_us else self.cost_us
        await self.clock.sleep_until_us(self.clock.now_us() + cost_us)
        for window in windows:
            if window.session in self.fails:
                report(TickFailure(window.session, window.tick, "overflow"))
            else:
                report(TickOutput(window.session, window.tick, done=True))
        self.in_flight -= 1


class Bench:
    """A scheduler that runs on fake time."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.worker = FakeWorker(self.clock)
        self.capacity = Capacity(max_sessions=8)
        self.reports: list[TickReport] = []
        self.scheduler = TickScheduler(self.worker.tick, self.clock, self.capacity, self.reports.append)

    def add(self, name: str, demand: Demand) -> FakeSession:
        session = FakeSession(name, demand)
        self.scheduler.add(session)
        return session

    async def advance_ms(self, duration_ms: int) -> list[tuple[int, str]]:
        """Let time pass; return the batches that began meanwhile, as (ms, names)."""
        before = len(self.worker.batches)
        await self.clock.advance_us(duration_ms * MS)
        return self.worker.batches[before:]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    running = asyncio.create_task(bench.scheduler.run())
    await bench.clock.settle()
    yield bench
    if running.done():
        running.result()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# --- live -----------------------------------------------------------------------------------------------------------


async def test_live_sessions_tick_together_every_250_ms(bench: Bench) -> None:
    a, b = bench.add("a", Demand.LIVE), bench.add("b", Demand.LIVE)
    assert await bench.advance_ms(1_100) == [(250, "a b"), (500, "a b"), (750, "a b"), (1_000, "a b")]
    assert a.inputs == a.outputs == b.inputs == b.outputs == [0, 1, 2, 3]
    assert bench.reports[0] == TickReport(
        live=2, free=0, waiting=0, started_us=250 * MS, duration_us=10 * MS, late_us=0, skipped=0
    )


async def test_a_microphone_that_opens_joins_the_grid_at_the_next_deadline(bench: Bench) -> None:
    await bench.advance_ms(10_100)
    bench.add("a", Demand.LIVE)
    assert await bench.advance_ms(500) == [(10_250, "a"), (10_500, "a")]
    assert bench.reports[0].late_us == bench.reports[0].skipped == 0


async def test_an_idle_session_is_not_ticked(bench: Bench) -> None:
    session = bench.add("a", Demand.IDLE)
    assert await bench.advance_ms(5_000) == []
    session.needs = Demand.LIVE
    bench.scheduler.wake()
    assert await bench.advance_ms(250) == [(5_250, "a")]


async def test_a_tick_that_overruns_is_counted_and_the_grid_stays(bench: Bench) -> None:
    bench.add("a", Demand.LIVE)
    bench.worker.costs_us = [300 * MS]
    assert await bench.advance_ms(1_100) == [(250, "a"), (550, "a"), (750, "a"), (1_000, "a")]
    assert [report.overran for report in bench.reports] == [True, False, False, False]
    assert [report.late_us for report in bench.reports] == [0, 50 * MS, 0, 0]
    assert not any(report.skipped for report in bench.reports)


async def test_after_a_long_stall_one_tick_is_late_and_the_missed_ones_are_skipped_not_made_up(bench: Bench) -> None:
    bench.add("a", Demand.LIVE)
    bench.worker.costs_us = [1_100 * MS]
    assert await bench.advance_ms(2_100) == [(250, "a"), (1_350, "a"), (1_500, "a"), (1_750, "a"), (2_000, "a")]
    assert [report.skipped for report in bench.reports] == [0, 3, 0, 0, 0]
    assert bench.reports[1].late_us == 100 * MS


async def test_an_engine_that_is_always_too_slow_never_lags_by_more_than_a_tick(bench: Bench) -> None:
    bench.add("a", Demand.LIVE)
    bench.worker.cost_us = 400 * MS
    await bench.advance_ms(20_000)
    assert max(report.late_us for report in bench.reports) < TICK_US
    assert sum(report.skipped + 1 for report in bench.reports) == pytest.approx(20_000 / 250, abs=3)


# --- free -----------------------------------------------------------------------------------------------------------


async def test_free_sessions_tick_as_fast_as_the_engine_can(bench: Bench) -> None:
    session = bench.add("a", Demand.FREE)
    session.free_ticks_left = 5
    assert await bench.advance_ms(1_000) == [(ms, "a") for ms in (0, 10, 20, 30, 40)]
    assert session.outputs == [0, 1, 2, 3, 4]


async def test_free_sessions_share_their_ticks(bench: Bench) -> None:
    for name in "abc":
        bench.add(name, Demand.FREE).free_ticks_left = 2
    assert await bench.advance_ms(100) == [(0, "a b c"), (10, "a b c")]


async def test_free_ticks_use_the_slack_and_leave_the_deadline_alone(bench: Bench) -> None:
    bench.add("live", Demand.LIVE)
    bench.worker.cost_us = 60 * MS
    await bench.advance_ms(400)
    bench.add("free", Demand.FREE)
    # 60 ms fit once between 400 and 500, and three times between 560 and 750.
    assert await bench.advance_ms(409) == [
        (400, "free"),
        (500, "live"),
        (560, "free"),
        (620, "free"),
        (680, "free"),
        (750, "live"),
    ]
    assert all(report.late_us == 0 for report in bench.reports)


async def test_a_free_session_that_finds_no_slack_rides_with_the_live_tick(bench: Bench) -> None:
    bench.add("live", Demand.LIVE)
    bench.worker.cost_us = 140 * MS
    await bench.advance_ms(400)
    free = bench.add("free", Demand.FREE)
    assert await bench.advance_ms(1_000) == [(ms, "live free") for ms in (500, 750, 1_000, 1_250)]
    assert free.outputs == [0, 1, 2, 3]
    assert all(report.late_us == 0 for report in bench.reports)


async def test_before_any_cost_is_known_free_sessions_ride_and_so_teach_it(bench: Bench) -> None:
    bench.add("live", Demand.LIVE)
    bench.add("free", Demand.FREE)
    assert (await bench.advance_ms(265))[:2] == [(250, "live free"), (260, "free")]


async def test_sessions_that_wait_for_slack_are_reported(bench: Bench) -> None:
    bench.add("live", Demand.LIVE)
    bench.add("free", Demand.FREE)
    bench.worker.cost_us = 100 * MS
    await bench.advance_ms(860)
    # The first tick is shared; after it, one free tick fits before 500, and the live tick at 500 goes alone.
    assert bench.worker.batches[:4] == [(250, "live free"), (350, "free"), (500, "live"), (600, "free")]
    assert [(report.live, report.free, report.waiting) for report in bench.reports[:3]] == [
        (1, 1, 0),
        (0, 1, 0),
        (1, 0, 1),
    ]


async def test_the_result_of_a_session_does_not_depend_on_its_clock(bench: Bench) -> None:
    bench.add("live", Demand.LIVE)
    free = bench.add("free", Demand.FREE)
    free.free_ticks_left = 6
    await bench.advance_ms(2_000)
    assert free.inputs == free.outputs == [0, 1, 2, 3, 4, 5]


async def test_costs_are_learned_for_admission_from_live_ticks_only(bench: Bench) -> None:
    bench.add("free", Demand.FREE).free_ticks_left = 1
    bench.worker.costs_us = [900 * MS]
    await bench.advance_ms(1_000)
    assert bench.capacity.predict_us(1) is None
    bench.add("live", Demand.LIVE)
    await bench.advance_ms(300)
    assert bench.capacity.predict_us(1) == 10 * MS


# --- sessions come, go and fail -------------------------------------------------------------------------------------


async def test_a_failure_removes_its_session_and_the_others_go_on(bench: Bench) -> None:
    bad, good = bench.add("bad", Demand.LIVE), bench.add("good", Demand.LIVE)
    bench.worker.fails = {"bad"}
    assert await bench.advance_ms(600) == [(250, "bad good"), (500, "good")]
    assert bad.failures == [TickFailure("bad", 0, "overflow")]
    assert good.outputs == [0, 1]
    assert good.failures == []


@pytest.mark.parametrize("place", ["demand", "take_window", "note_input", "deliver", "deliver fail"])
async def test_a_session_whose_own_code_raises_ends_alone(
    bench: Bench, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = bench.add("bad", Demand.LIVE), bench.add("good", Demand.LIVE)
    bad.raises_in = place
    await bench.advance_ms(600)
    assert [failure.reason for failure in bad.failures] == [f"RuntimeError: broken {place.split()[0]}"]
    assert good.outputs == [0, 1]
    assert bench.worker.batches[-1] == (500, "good")
    assert "session bad failed" in caplog.text


async def test_nothing_reaches_a_session_that_left_while_its_tick_ran(bench: Bench) -> None:
    gone, stays = bench.add("gone", Demand.LIVE), bench.add("stays", Demand.LIVE)
    await bench.advance_ms(255)
    bench.scheduler.remove("gone")
    await bench.advance_ms(300)
    assert (gone.inputs, gone.outputs) == ([0], [])
    assert stays.outputs == [0, 1]


async def test_a_successor_of_the_same_name_gets_nothing_of_the_tick_in_flight(bench: Bench) -> None:
    bench.add("a", Demand.LIVE)
    await bench.advance_ms(255)
    bench.scheduler.remove("a")
    successor = bench.add("a", Demand.IDLE)
    await bench.advance_ms(100)
    assert successor.outputs == []


async def test_a_name_is_scheduled_once(bench: Bench) -> None:
    bench.add("a", Demand.IDLE)
    with pytest.raises(ValueError, match="'a'"):
        bench.add("a", Demand.IDLE)


async def test_removing_an_unknown_session_is_no_error(bench: Bench) -> None:
    bench.scheduler.remove("nobody")


# --- what is kept ---------------------------------------------------------------------------------------------------


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("demand", [Demand.LIVE, Demand.FREE])
async def test_nothing_is_kept_of_a_session_that_left_after_a_tick(bench: Bench, demand: Demand) -> None:
    session = weakref.ref(bench.add("a", demand))
    assert await bench.advance_ms(251)
    bench.scheduler.remove("a")
    await bench.advance_ms(20)  # its last tick ends
    assert session() is None


@pytest.mark.usefixtures("no_collector")
async def test_nothing_is_kept_of_a_session_that_left_during_a_tick(bench: Bench) -> None:
    bench.add("b", Demand.LIVE)
    session = weakref.ref(bench.add("a", Demand.LIVE))
    assert await bench.advance_ms(251) == [(250, "b a")]
    assert bench.worker.in_flight
    bench.scheduler.remove("a")
    await bench.advance_ms(20)
    assert session() is None


@pytest.mark.usefixtures("no_collector")
async def test_nothing_is_kept_of_a_session_that_left_while_all_wait_for_the_deadline(bench: Bench) -> None:
    bench.add("b", Demand.LIVE)
    session = weakref.ref(bench.add("a", Demand.LIVE))
    assert await bench.advance_ms(400) == [(250, "b a")]
    bench.scheduler.remove("a")
    assert session() is None
