"""A recorded session that takes another turn: the same inputs, but answers drawn differently from one tick on.

The past before `tick` is stepped as it was recorded, so it comes out the same; from there on every answer that opens
uses the new sampling. Inputs stay as they were recorded, whatever the answers become: a recorded user does not react.
The seed cannot be changed in the middle: an engine takes it when it opens a session and keys every draw with it.
"""

from dataclasses import replace
from pathlib import Path

from realtime.engine import Engine
from realtime.recording.header import NORMAL_END
from realtime.recording.recorder import Recording
from realtime.recording.writer import RecordingWriter
from streams.types import Command, OpenTurn, Respond, Sampling, TickFailure, TickInput, TickWindow

MAX_EXTRA_TICKS = 1200  # five minutes for an answer to end that outlasts the recording


def fork_window(window: TickWindow, tick: int, sampling: Sampling) -> TickWindow:
    def change(command: Command) -> Command:
        return replace(command, sampling=sampling) if isinstance(command, Respond) else command

    if window.tick < tick:
        return window
    return replace(window, commands=tuple(change(command) for command in window.commands))


def fork_input(tick_input: TickInput, tick: int, sampling: Sampling) -> TickInput:
    if tick_input.tick < tick:
        return tick_input
    return replace(
        tick_input,
        actions=tuple(
            OpenTurn(replace(action.respond, sampling=sampling)) if isinstance(action, OpenTurn) else action
            for action in tick_input.actions
        ),
    )


def fork(engine: Engine, recording: Recording, tick: int, sampling: Sampling, out: Path, wall_ns: int) -> int:
    """Step the fork through `engine` and record it into `out`, which must not exist. Returns the number of ticks."""
    header = replace(recording.header, engine=engine.info)
    with out.open("xb") as file:
        writer = RecordingWriter(file, header)
        for window in recording.windows():
            writer.window(fork_window(window, tick, sampling), wall_ns)
        engine.open(header.session, header.seed)
        try:
            num_ticks = _record_ticks(engine, recording, tick, sampling, writer, wall_ns)
        finally:
            engine.close(header.session)
        writer.finish(NORMAL_END)
    return num_ticks


def _record_ticks(
    engine: Engine, recording: Recording, tick: int, sampling: Sampling, writer: RecordingWriter, wall_ns: int
) -> int:
    inputs = recording.inputs()
    num_ticks = num_extra = 0
    next_tick = 0
    is_answering = False
    while True:
        tick_input = next(inputs, None)
        if tick_input is None:
            if not is_answering or num_extra == MAX_EXTRA_TICKS:
                return num_ticks
            tick_input = TickInput(recording.header.session, next_tick)
            writer.window(TickWindow(recording.header.session, next_tick), wall_ns)
            num_extra += 1
        tick_input = fork_input(tick_input, tick, sampling)
        next_tick = tick_input.tick + 1
        num_ticks += 1
        is_answering |= any(isinstance(action, OpenTurn) for action in tick_input.actions)
        writer.input(tick_input, wall_ns)
        for event in engine.step([tick_input]):
            if isinstance(event, TickFailure):
                writer.failure(event, wall_ns)
                return num_ticks
            writer.output(event, wall_ns)
            is_answering &= event.finish is None
