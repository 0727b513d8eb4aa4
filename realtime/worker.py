"""EngineWorker: the one thread that owns the engine, seen from the event loop.

Enters: sessions to open and close, and the windows of one tick. Leaves: each `TickInput`, `TickOutput` and
`TickFailure` on the event loop at the moment it exists. It decides nothing about time, and an engine that raises costs
the sessions of that tick, never the server.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar, TypeVarTuple

from realtime.engine import Engine, EngineInfo
from streams.types import TickFailure, TickInput, TickOutput, TickWindow

logger = logging.getLogger(__name__)

TickEvent: TypeAlias = TickInput | TickOutput | TickFailure
Report: TypeAlias = Callable[[TickEvent], None]

Args = TypeVarTuple("Args")
Result = TypeVar("Result")


class EngineWorker:
    """Calls the engine from a thread of its own, one call after another, in the order of asking."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    async def open(self, session: str, seed: int) -> None:
        """Give `session` a slot. Raises `EngineFull` where none is free. A cancelled open leaves no slot behind."""
        try:
            await self._call(self._engine.open, session, seed)
        except asyncio.CancelledError:
            self._thread.submit(self._engine.close, session)  # after the open, if that still runs
            raise

    async def close(self, session: str) -> None:
        await self._call(self._engine.close, session)

    async def tick(self, windows: Sequence[TickWindow], report: Report) -> None:
        """Encode and step one batch. `report` is called on this event loop, for the last time before this returns.

        Every session of `windows` ends with one output that is `done` or with one failure.
        """
        loop = asyncio.get_running_loop()
        await self._call(self._run_tick, windows, lambda event: loop.call_soon_threadsafe(report, event))

    async def shutdown(self) -> None:
        """Let the calls so far finish, then end the thread. Later calls raise RuntimeError."""
        await self._call(lambda: None)
        self._thread.shutdown()

    async def _call(self, function: Callable[[*Args], Result], *args: *Args) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    # --- in the engine's thread -------------------------------------------------------------------------------------

    def _run_tick(self, windows: Sequence[TickWindow], emit: Callable[[TickEvent], object]) -> None:
        """Run one tick to its end for every session, whatever the engine does."""
        unfinished = {window.session: window.tick for window in windows}
        try:
            inputs: list[TickInput] = []
            for encoded in self._engine.encode(windows):
                emit(encoded)
                if isinstance(encoded, TickFailure):
                    unfinished.pop(encoded.session, None)
                else:
                    inputs.append(encoded)
            for event in self._engine.step(inputs) if inputs else ():
                emit(event)
                if isinstance(event, TickFailure) or event.done:
                    unfinished.pop(event.session, None)
            reason = "the engine gave no output for this tick"
        except Exception as error:  # the engine is foreign code: whatever it raises ends this batch, not the server
            logger.exception("the engine failed in a tick of %d sessions", len(windows))
            reason = f"the engine failed: {type(error).__name__}: {error}"
        for session, tick in unfinished.items():
            emit(TickFailure(session, tick, reason))
