"""SessionHost: gives sessions what they live on: a slot in the engine, ticks, a recording; and takes it back.

Enters: requests for sessions, from transports. Leaves: sessions that tick, or refusals. Owns the engine's worker, the
scheduler and the count of those present. Knows no transport and no HTTP.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from realtime.capacity import Capacity
from realtime.engine import Engine, EngineFull
from realtime.metrics import Metrics
from realtime.protocol.ids import Ids
from realtime.protocol.session_config import fresh_config
from realtime.protocol.session_merge import merged
from realtime.protocol.session_patch import SessionPatch
from realtime.recording.header import RecordingHeader
from realtime.recording.recorder import SessionRecorder
from realtime.refusal import Refusal, RefusalCode
from realtime.scheduler import TickScheduler
from realtime.session.session import CloseKind, Session
from realtime.session.setup import SessionSetup
from realtime.session.side_session import SideSession
from realtime.worker import EngineWorker, Report, TickEvent
from streams.clock import Clock
from streams.types import TickFailure, TickOutput, TickWindow, Timings

logger = logging.getLogger(__name__)

STUCK_US = 10_000_000  # an engine that works on one tick for longer is taken for dead
RETRY_AFTER_S = 5
FAREWELL_S = 5.0  # for clients to be told that the server stops
RECORDING_S = 10.0  # for the last recordings to reach the disk


class SessionHost:
    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        metrics: Metrics,
        *,
        ids: Ids,
        max_session_s: float,
        record_dir: Path | None = None,
        server_version: str = "",
    ) -> None:
        self.info = engine.info
        self._clock = clock
        self._metrics = metrics
        self._ids = ids
        self._max_session_s = max_session_s
        self._record_dir = record_dir
        self._server_version = server_version
        self._seeds = random.SystemRandom()
        self._worker = EngineWorker(engine)
        self._capacity = Capacity(self.info.max_sessions)
        self._scheduler = TickScheduler(self._run_tick, clock, self._capacity, metrics.observe_tick)
        self._scheduling: asyncio.Task[None] | None = None
        self._sessions: dict[str, Session] = {}
        self._recorders: dict[str, SessionRecorder] = {}
        self._sides: set[str] = set()
        self._num_opening = 0
        self._background: set[asyncio.Task[None]] = set()
        self._tick_started_us: int | None = None
        self._stopping = False
        self._left = asyncio.Event()  # somebody did

    @property
    def num_present(self) -> int:
        """Sessions and out-of-band responses that have a slot or are about to."""
        return len(self._sessions) + len(self._sides) + self._num_opening

    def unready_reason(self) -> str | None:
        """Why no session can be served now; None where all is well."""
        if self._stopping:
            return "the server is stopping"
        if self._scheduling is None or self._scheduling.done():
            return "the scheduler does not run"
        if self._tick_started_us is not None and self._clock.now_us() - self._tick_started_us > STUCK_US:
            return f"the engine has been in one tick for {(self._clock.now_us() - self._tick_started_us) / 1e6:.0f} s"
        return None

    # --- the server's life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self._record_dir is not None:
            self._record_dir.mkdir(parents=True, exist_ok=True)
        self._scheduling = asyncio.create_task(self._scheduler.run(), name="scheduler")
        self._scheduling.add_done_callback(self._note_end)

    def _note_end(self, scheduling: asyncio.Task[None]) -> None:
        if scheduling.cancelled():
            return
        logger.critical("the scheduler failed: no session can go on", exc_info=scheduling.exception())
        for session in list(self._sessions.values()):
            session.close(CloseKind.ENGINE_FAILED, "the scheduler failed")

    async def dismiss(self) -> None:
        """Admit nobody any more and tell everybody to go. Returns once they have, or after `FAREWELL_S`."""
        self._stopping = True
        logger.info("stopping: %d sessions end", len(self._sessions))
        for session in list(self._sessions.values()):
            session.close(CloseKind.SHUTDOWN, "the server is stopping")
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                while self._sessions:
                    self._left.clear()
                    await self._left.wait()

    async def stop(self) -> None:
        """End whoever is left, then the engine's thread, then the recordings."""
        self._stopping = True
        for session in list(self._sessions.values()):
            session.close(CloseKind.SHUTDOWN, "the server is stopping")
            self.close(session)
        if self._scheduling is not None:
            self._scheduling.cancel()
            await asyncio.wait({self._scheduling})
        while self._background:
            await asyncio.wait(set(self._background))
        await self._worker.shutdown()

    # --- a session's life -------------------------------------------------------------------------------------------

    async def open(self, patch: SessionPatch, notify: Callable[[], None]) -> Session | Refusal:
        """A session that ticks and has greeted its client, or why there is none. `close` takes it back."""
        reason = self.unready_reason()
        if reason is not None:
            return Refusal(RefusalCode.NOT_READY, f"No session now: {reason}.", retry_after_s=RETRY_AFTER_S)
        if not self._capacity.admits(self.num_present + 1):
            return self._full()
        name, seed = self._ids.session(), self._seeds.getrandbits(63)
        self._num_opening += 1
        try:
            await self._worker.open(name, seed)
        except EngineFull:
            return self._full()
        finally:
            self._num_opening -= 1
        expires_at = int(time.time() + self._max_session_s)
        setup = SessionSetup(
            name=name,
            info=self.info,
            ids=self._ids,
            now_us=self._clock.now_us,
            expires_at=expires_at,
            patch=patch,
            sides=self,
            tap=self._record(name, seed, patch, expires_at),
            wake=self._scheduler.wake,
            notify=notify,
        )
        try:
            session = Session(setup)
        except BaseException:
            self._spawn(self._worker.close(name))
            raise
        session.start()
        self._sessions[name] = session
        self._scheduler.add(session)
        self._metrics.open_session()
        return session

    def close(self, session: Session) -> None:
        """Take everything back. What still has to happen for that happens by itself."""
        if self._sessions.pop(session.name, None) is None:
            return
        self._left.set()
        session.close(CloseKind.CLIENT_LEFT, "the connection ended")
        assert session.closing is not None
        self._metrics.end_session(session.closing.kind)
        self._scheduler.remove(session.name)
        self._spawn(self._worker.close(session.name))
        recorder = self._recorders.pop(session.name, None)
        if recorder is not None:
            recorder.close()
            self._spawn(self._finish_recording(session.name, recorder))

    def _full(self) -> Refusal:
        return Refusal(
            RefusalCode.NO_CAPACITY,
            f"The server is full: it serves {self.num_present} sessions and one more would not be served in time.",
            retry_after_s=RETRY_AFTER_S,
        )

    # --- out-of-band responses --------------------------------------------------------------------------------------

    def open_side(self, side: SideSession) -> None:
        if not self._capacity.admits(self.num_present + 1):
            raise EngineFull("the server is full")
        self._sides.add(side.name)
        self._spawn(self._open_side(side))

    async def _open_side(self, side: SideSession) -> None:
        try:
            await self._worker.open(side.name, self._seeds.getrandbits(63))
        except EngineFull as full:
            side.fail(TickFailure(side.name, 0, str(full)))
            return
        if side.name in self._sides:
            self._scheduler.add(side)

    def close_side(self, side: SideSession) -> None:
        self._sides.discard(side.name)
        self._scheduler.remove(side.name)
        self._spawn(self._worker.close(side.name))

    # --- ticks ------------------------------------------------------------------------------------------------------

    async def _run_tick(self, windows: Sequence[TickWindow], report: Report) -> None:
        timings: Timings | None = None

        def observe(event: TickEvent) -> None:
            nonlocal timings
            if isinstance(event, TickOutput) and event.done:
                timings = event.timings  # the same for all who shared the tick
            report(event)

        self._tick_started_us = self._clock.now_us()
        try:
            await self._worker.tick(windows, observe)
        finally:
            self._tick_started_us = None
        if timings is not None:
            self._metrics.observe_engine(timings)

    # --- recordings -------------------------------------------------------------------------------------------------

    def _record(self, name: str, seed: int, patch: SessionPatch, expires_at: int) -> SessionRecorder | None:
        if self._record_dir is None:
            return None
        wall_ns = time.time_ns()
        config = merged(fresh_config(name, self.info, expires_at), patch, self.info)
        header = RecordingHeader(
            session=name,
            seed=seed,
            created_wall_ns=wall_ns,
            engine=self.info,
            server_version=self._server_version,
            config_json=msgspec.json.encode(config).decode(),
        )
        stamp = datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y%m%d-%H%M%S")
        recorder = SessionRecorder(
            self._record_dir / f"{stamp}-{name}.mcap",
            header,
            on_stop=lambda _: self._metrics.fail_recording(),
        )
        self._recorders[name] = recorder
        return recorder

    async def _finish_recording(self, name: str, recorder: SessionRecorder) -> None:
        if not await asyncio.to_thread(recorder.join, RECORDING_S):
            logger.error("the recording of session %s is not whole after %g s", name, RECORDING_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
