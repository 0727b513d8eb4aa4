"""EngineWorker: one thread, events as they appear, and an engine that raises costs only its batch."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from realtime.engine import EngineFull, EngineInfo
from realtime.worker import EngineWorker, TickEvent
from streams.types import TickFailure, TickInput, TickOutput, TickWindow

INFO = EngineInfo(
    name="scripted",
    max_sessions=2,
    max_steps_per_tick=1,
    weights_hash="",
    build_hash="",
    backend="none",
    hears=False,
    sees=False,
    speaks=False,
    draws=False,
    self_paced=False,
)


class ScriptedEngine:
    """Answers each tick with an early and a done output; a session's name may ask for trouble."""

    info = INFO

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self.may_step = threading.Event()
        self.may_step.set()
        self.opening = threading.Event()
        self.may_open = threading.Event()
        self.may_open.set()

    def open(self, session: str, seed: int) -> None:
        self._note("open")
        self.opening.set()
        self.may_open.wait(30)
        if len(self.sessions) == INFO.max_sessions:
            raise EngineFull(f"all {INFO.max_sessions} slots are taken")
        self.sessions.append(session)

    def encode(self, windows: Sequence[TickWindow]) -> list[TickInput | TickFailure]:
        self._note("encode")
        if any(window.session == "breaks-encode" for window in windows):
            raise RuntimeError("no tokenizer")
        return [
            TickFailure(w.session, w.tick, "cannot be encoded") if w.session == "bad" else TickInput(w.session, w.tick)
            for w in windows
        ]

    def step(self, inputs: Sequence[TickInput]) -> Iterator[TickOutput | TickFailure]:
        self._note("step")
        for item in inputs:
            yield TickOutput(item.session, item.tick, done=False)
        self.may_step.wait(30)
        for item in inputs:
            if item.session == "breaks-step":
                raise RuntimeError("not a number")
            if item.session == "falls":
                yield TickFailure(item.session, item.tick, "overflow")
            elif item.session != "forgotten":
                yield TickOutput(item.session, item.tick, done=True)

    def close(self, session: str) -> None:
        self._note("close")
        if session in self.sessions:
            self.sessions.remove(session)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self.threads.add(threading.get_ident())


def shown(event: TickEvent) -> str:
    if isinstance(event, TickOutput):
        return f"{event.session} {'done' if event.done else 'early'}"
    return f"{event.session} {'failed' if isinstance(event, TickFailure) else 'input'}"


async def tick(engine: ScriptedEngine, *sessions: str) -> list[TickEvent]:
    worker = EngineWorker(engine)
    events: list[TickEvent] = []
    await worker.tick([TickWindow(name, tick=7) for name in sessions], events.append)
    await worker.shutdown()
    assert all(event.tick == 7 for event in events)
    return events


async def test_a_tick_reports_inputs_then_outputs_of_every_session() -> None:
    events = await tick(ScriptedEngine(), "a", "b")
    assert [shown(e) for e in events] == ["a input", "b input", "a early", "b early", "a done", "b done"]


async def test_events_arrive_while_the_tick_still_runs() -> None:
    engine = ScriptedEngine()
    engine.may_step.clear()
    worker = EngineWorker(engine)
    events: asyncio.Queue[TickEvent] = asyncio.Queue()
    running = asyncio.create_task(worker.tick([TickWindow("a", 0)], events.put_nowait))
    assert [shown(await events.get()) for _ in range(2)] == ["a input", "a early"]
    assert not running.done()
    engine.may_step.set()
    await running
    assert shown(events.get_nowait()) == "a done"
    await worker.shutdown()


async def test_the_engine_is_called_from_one_thread_and_reports_come_to_the_event_loop() -> None:
    engine = ScriptedEngine()
    worker = EngineWorker(engine)
    report_threads: set[int] = set()
    for _ in range(3):
        await worker.open("a", seed=1)
        await worker.tick([TickWindow("a", 0)], lambda _: report_threads.add(threading.get_ident()))
        await worker.close("a")
    await worker.shutdown()
    assert report_threads == {threading.get_ident()}
    assert len(engine.threads) == 1
    assert engine.threads.isdisjoint(report_threads)


async def test_a_failed_encoding_costs_one_session_and_the_others_are_stepped() -> None:
    events = await tick(ScriptedEngine(), "bad", "a")
    assert [shown(e) for e in events] == ["bad failed", "a input", "a early", "a done"]


async def test_nothing_is_stepped_where_nothing_could_be_encoded() -> None:
    engine = ScriptedEngine()
    assert [shown(e) for e in await tick(engine, "bad")] == ["bad failed"]
    assert "step" not in engine.calls


async def test_an_encode_that_raises_fails_its_whole_batch(caplog: pytest.LogCaptureFixture) -> None:
    events = await tick(ScriptedEngine(), "a", "breaks-encode")
    assert [shown(e) for e in events] == ["a failed", "breaks-encode failed"]
    assert all(isinstance(e, TickFailure) and "RuntimeError: no tokenizer" in e.reason for e in events)
    assert "a tick of 2 sessions" in caplog.text


async def test_a_step_that_raises_fails_those_whose_tick_had_not_ended(caplog: pytest.LogCaptureFixture) -> None:
    events = await tick(ScriptedEngine(), "a", "falls", "breaks-step", "b")
    ends = [shown(e) for e in events if shown(e).split()[1] in ("done", "failed")]
    assert ends == ["a done", "falls failed", "breaks-step failed", "b failed"]
    assert "not a number" in caplog.text


async def test_a_session_that_the_engine_forgets_fails() -> None:
    events = await tick(ScriptedEngine(), "forgotten", "a")
    assert [shown(e) for e in events][-2:] == ["a done", "forgotten failed"]


async def test_the_worker_lives_on_after_the_engine_raised() -> None:
    engine = ScriptedEngine()
    worker = EngineWorker(engine)
    events: list[TickEvent] = []
    await worker.tick([TickWindow("breaks-encode", 0)], events.append)
    await worker.tick([TickWindow("a", 1)], events.append)
    assert shown(events[-1]) == "a done"
    await worker.shutdown()


async def test_an_engine_without_a_free_slot_says_so_to_whoever_opens() -> None:
    worker = EngineWorker(ScriptedEngine())
    await worker.open("a", seed=0)
    await worker.open("b", seed=0)
    with pytest.raises(EngineFull, match="2 slots"):
        await worker.open("c", seed=0)
    await worker.shutdown()


async def test_a_cancelled_open_leaves_no_slot_behind() -> None:
    engine = ScriptedEngine()
    engine.may_open.clear()
    worker = EngineWorker(engine)
    opening = asyncio.create_task(worker.open("a", seed=0))
    await asyncio.to_thread(engine.opening.wait)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    engine.may_open.set()
    await worker.shutdown()
    assert engine.calls == ["open", "close"]
    assert engine.sessions == []


async def test_shutdown_waits_for_the_tick_in_flight_and_ends_the_thread() -> None:
    threads_before = set(threading.enumerate())
    engine = ScriptedEngine()
    engine.may_step.clear()
    worker = EngineWorker(engine)
    events: asyncio.Queue[TickEvent] = asyncio.Queue()
    running = asyncio.create_task(worker.tick([TickWindow("a", 0)], events.put_nowait))
    await events.get()
    (engine_thread,) = set(threading.enumerate()) - threads_before
    ending = asyncio.create_task(worker.shutdown())
    await asyncio.sleep(0)
    assert not ending.done()
    engine.may_step.set()
    await ending
    await running
    assert not engine_thread.is_alive()
    with pytest.raises(RuntimeError, match="shutdown"):
        await worker.close("a")


async def test_what_the_model_can_do_is_visible() -> None:
    worker = EngineWorker(ScriptedEngine())
    assert worker.info is INFO
    await worker.shutdown()
