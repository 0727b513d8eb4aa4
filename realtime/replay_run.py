"""Recorded sessions stepped through an engine again, and what comes out compared with what came out then.

Recordings and an engine in, a `ReplayResult` for each recording out. All of them, and any sessions beside them, share
the engine's batches, as they would on a busy server. Never waits for a clock and never prints.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from typing import TypeAlias

from realtime.engine import Engine
from realtime.recording.recorder import Recording
from realtime.recording.tokens import input_json
from streams.types import Finish, TickFailure, TickInput, TickOutput, TickWindow

TickEvent: TypeAlias = TickOutput | TickFailure

EVERY_TICK = range(2**62)


@dataclass(frozen=True, slots=True)
class TickTokens:
    """What one session produced in one tick, as far as it must come out the same again."""

    ids: tuple[int, ...]
    codes: tuple[tuple[int, ...], ...]
    finish: Finish | None
    evicted: tuple[int, ...]
    failed: bool
    reason: str = field(default="", compare=False)  # how a failure is put into words may differ

    @classmethod
    def of(cls, events: Sequence[TickEvent]) -> "TickTokens":
        outputs = [event for event in events if isinstance(event, TickOutput)]
        failures = [event for event in events if isinstance(event, TickFailure)]
        finishes = [output.finish for output in outputs if output.finish is not None]
        return cls(
            ids=tuple(id_ for output in outputs for id_ in output.ids.tolist()),
            codes=tuple(tuple(frame) for output in outputs for frame in output.codes.tolist()),
            finish=finishes[-1] if finishes else None,
            evicted=tuple(tick for output in outputs for tick in output.evicted),
            failed=bool(failures),
            reason=failures[0].reason if failures else "",
        )

    @property
    def num_tokens(self) -> int:
        return len(self.ids) + sum(len(frame) for frame in self.codes)

    def __str__(self) -> str:
        said = [f"ids {list(self.ids)}", f"codes {[list(frame) for frame in self.codes]}"]
        if self.finish is not None:
            said.append(f"finish {self.finish}")
        if self.evicted:
            said.append(f"evicted {list(self.evicted)}")
        if self.failed:
            said.append(f"failed: {self.reason}")
        return ", ".join(said)


class Compared(StrEnum):
    TOKENS = "tokens"
    INPUT = "input"


@dataclass(frozen=True, slots=True)
class Difference:
    tick: int
    compared: Compared
    recorded: str
    replayed: str


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """`num_ticks` and `num_tokens` were compared. `unfinished_tick` is one that the recording breaks off in."""

    recording: Recording
    num_ticks: int
    num_tokens: int
    difference: Difference | None
    unfinished_tick: int | None

    @property
    def is_identical(self) -> bool:
        return self.difference is None


@dataclass(frozen=True, slots=True)
class ReplayRun:
    results: tuple[ReplayResult, ...]
    beside_failures: tuple[TickFailure, ...]


def replay_inputs(engine: Engine, recording: Recording) -> ReplayResult:
    """One recording alone."""
    return replay_together(engine, [recording]).results[0]


def replay_together(
    engine: Engine,
    recordings: Sequence[Recording],
    *,
    num_beside: int = 0,
    ticks: range = EVERY_TICK,
    from_media: bool = False,
    on_round: Callable[[int], None] | None = None,
) -> ReplayRun:
    """Step all `recordings` side by side and compare those ticks of each that are in `ticks`.

    `num_beside` more sessions run in the same batches: copies with other seeds, each starting one tick later than the
    one before. `from_media` also encodes the recorded windows again and compares the inputs.
    """
    lanes = [_Lane(f"replay-{i}", recording, ticks, from_media) for i, recording in enumerate(recordings)]
    beside = [_Beside(f"beside-{k}", recordings[k % len(recordings)], k) for k in range(num_beside)]
    failures: list[TickFailure] = []
    try:
        for lane in lanes:
            engine.open(lane.session, lane.seed)
        num_rounds = 0
        while batch := [(lane, tick_input) for lane in lanes if (tick_input := lane.take()) is not None]:
            _encode(engine, batch)
            others = [other.take(engine) for other in beside if other.starts_at <= num_rounds]
            inputs = [tick_input for _, tick_input in batch] + [other for other in others if other is not None]
            events: dict[str, list[TickEvent]] = {tick_input.session: [] for tick_input in inputs}
            for event in engine.step(inputs):
                events[event.session].append(event)
            for lane, tick_input in batch:
                lane.compare(tick_input.tick, events[lane.session])
            for other in beside:
                failures += other.fail(events.get(other.session, []))
            num_rounds += 1
            if on_round is not None:
                on_round(num_rounds)
    finally:
        for session in (*(lane.session for lane in lanes), *(other.session for other in beside)):
            engine.close(session)
    return ReplayRun(tuple(lane.result() for lane in lanes), tuple(failures))


def _encode(engine: Engine, batch: Sequence[tuple["_Lane", TickInput]]) -> None:
    """The recorded windows of this round, through the engine's tokenizers, against the recorded inputs."""
    pairs = [(lane, tick_input, lane.window_of(tick_input)) for lane, tick_input in batch]
    wanted = [(lane, tick_input, window) for lane, tick_input, window in pairs if window is not None]
    if not wanted:
        return
    for (lane, tick_input, _), encoded in zip(wanted, engine.encode([window for *_, window in wanted]), strict=True):
        lane.compare_input(tick_input, encoded)


def recorded_events(recording: Recording) -> Iterator[tuple[int, list[TickEvent]]]:
    """What each tick gave when it was recorded, tick by tick."""
    streams: tuple[Iterator[TickEvent], Iterator[TickEvent]] = (recording.outputs(), recording.failures())
    for tick, events in groupby(heapq.merge(*streams, key=lambda event: event.tick), key=lambda event: event.tick):
        yield tick, list(events)


class _Lane:
    """One recording under comparison. Ends where its inputs do, at the first difference, or after `ticks`."""

    def __init__(self, session: str, recording: Recording, ticks: range, from_media: bool) -> None:
        self.session = session
        self.seed = recording.header.seed
        self._recording = recording
        self._ticks = ticks
        self._inputs = recording.inputs()
        self._windows: Iterator[TickWindow] | None = recording.windows() if from_media else None
        self._recorded = recorded_events(recording)
        self._next_recorded = next(self._recorded, None)
        self._num_ticks = 0
        self._num_tokens = 0
        self._difference: Difference | None = None
        self._unfinished_tick: int | None = None

    def take(self) -> TickInput | None:
        if self._difference is not None or self._unfinished_tick is not None:
            return None
        tick_input = next(self._inputs, None)
        if tick_input is None or tick_input.tick >= self._ticks.stop:
            return None
        return replace(tick_input, session=self.session)

    def window_of(self, tick_input: TickInput) -> TickWindow | None:
        """None where windows are not compared."""
        if self._windows is None:
            return None
        window = next(self._windows, None)
        if window is None or window.tick != tick_input.tick:
            found = "none" if window is None else f"one of tick {window.tick}"
            self._difference = Difference(tick_input.tick, Compared.INPUT, repr(tick_input), f"no window but {found}")
            return None
        return replace(window, session=self.session)

    def compare_input(self, recorded: TickInput, encoded: TickInput | TickFailure) -> None:
        if recorded.tick not in self._ticks:
            return
        if isinstance(encoded, TickFailure) or input_json(encoded) != input_json(recorded):
            self._difference = Difference(recorded.tick, Compared.INPUT, repr(recorded), repr(encoded))

    def compare(self, tick: int, events: list[TickEvent]) -> None:
        recorded = self._recorded_at(tick)
        is_finished = any(isinstance(event, TickFailure) or event.done for event in recorded)
        if not is_finished and self._next_recorded is None:
            self._unfinished_tick = tick
            return
        if tick not in self._ticks or self._difference is not None:
            return
        then, now = TickTokens.of(recorded), TickTokens.of(events)
        if then != now:
            self._difference = Difference(tick, Compared.TOKENS, str(then), str(now))
            return
        self._num_ticks += 1
        self._num_tokens += then.num_tokens

    def _recorded_at(self, tick: int) -> list[TickEvent]:
        while self._next_recorded is not None and self._next_recorded[0] <= tick:
            found, events = self._next_recorded
            self._next_recorded = next(self._recorded, None)
            if found == tick:
                return events
        return []

    def result(self) -> ReplayResult:
        return ReplayResult(self._recording, self._num_ticks, self._num_tokens, self._difference, self._unfinished_tick)


class _Beside:
    """A session that only keeps the others company."""

    def __init__(self, session: str, recording: Recording, number: int) -> None:
        self.session = session
        self.starts_at = number + 1
        self._seed = recording.header.seed + number + 1
        self._inputs = recording.inputs()
        self._is_open = False
        self._has_failed = False

    def take(self, engine: Engine) -> TickInput | None:
        if not self._is_open:
            engine.open(self.session, self._seed)
            self._is_open = True
        tick_input = None if self._has_failed else next(self._inputs, None)
        return None if tick_input is None else replace(tick_input, session=self.session)

    def fail(self, events: Sequence[TickEvent]) -> list[TickFailure]:
        failures = [event for event in events if isinstance(event, TickFailure)]
        self._has_failed = self._has_failed or bool(failures)
        return failures
