"""Writes tests/fixtures/echo_session.mcap: a short session with `EchoEngine` in which something of everything happens.

    python -m scripts.make_fixture_recording [FILE]

The tests replay the committed file, so they notice when old recordings can no longer be read or no longer give the
same tokens. Make it anew only where the format or the engine changed on purpose.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from realtime.echo import EchoEngine
from realtime.recording.header import NORMAL_END, RecordingHeader
from realtime.recording.writer import RecordingWriter
from streams.types import (
    SAMPLE_RATE_HZ,
    SAMPLES_PER_TICK,
    TICK_US,
    Command,
    Hold,
    Message,
    Respond,
    Rewrite,
    Role,
    Samples,
    TickFailure,
    TickInput,
    TickWindow,
    VideoFrame,
)

DEFAULT_FILE = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "echo_session.mcap"
SESSION = "sess_fixture"
SEED = 20_240_229
WALL_NS = 1_709_164_800_000_000_000  # 2024-02-29, so that the file does not depend on when it is made
NUM_TICKS = 24
TONE_HZ = 500  # whole periods in a tick, which compress well
SOUND_TICKS = range(4, 12)
COMMANDS: dict[int, tuple[Command, ...]] = {
    0: (Rewrite((Message(0, Role.SYSTEM, ("Say back what you hear.",)),)),),
    1: (Message(TICK_US, Role.USER, ("Good morning. ", VideoFrame(TICK_US, np.full((8, 8, 3), 200, np.uint8)))),),
    2: (Respond("resp_1"),),
    14: (Message(14 * TICK_US, Role.USER, ("And now something longer, which will be cut short.",)),),
    15: (Respond("resp_2"),),
    16: (Hold(),),
}


def tone() -> Samples:
    """Exact in 16 bits, as what clients send is."""
    samples = 0.25 * np.sin(2 * np.pi * TONE_HZ * np.arange(SAMPLES_PER_TICK) / SAMPLE_RATE_HZ)
    return (np.round(samples * 32768) / 32768).astype(np.float32)


def windows() -> Iterator[TickWindow]:
    for tick in range(NUM_TICKS):
        sound, gap_samples = None, 0
        if tick in SOUND_TICKS:
            sound = tone()
            if tick == SOUND_TICKS[-1]:  # the microphone stops in the middle of a tick
                sound[1000:] = 0
                gap_samples = 5000
        frames = (VideoFrame(tick * TICK_US, np.full((6, 8, 3), tick, np.uint8)),) if tick % 8 == 5 else ()
        yield TickWindow(SESSION, tick, sound, frames, COMMANDS.get(tick, ()), gap_samples)


def write_session(file: Path) -> None:
    engine = EchoEngine(max_sessions=1)
    engine.open(SESSION, SEED)
    with file.open("wb") as out:
        writer = RecordingWriter(out, RecordingHeader(SESSION, SEED, WALL_NS, engine.info, "fixture"))
        writer.client_event('{"type":"response.create","event_id":"event_1"}', 2 * TICK_US, WALL_NS)
        for window in windows():
            write_tick(engine, writer, window)
        writer.finish(NORMAL_END)


def write_tick(engine: EchoEngine, writer: RecordingWriter, window: TickWindow) -> None:
    wall_ns = WALL_NS + (window.tick + 1) * TICK_US * 1000
    writer.window(window, wall_ns)
    (encoded,) = engine.encode([window])
    if not isinstance(encoded, TickInput):
        raise ValueError(f"the fixture must not fail: {encoded}")
    writer.input(encoded, wall_ns)
    for event in engine.step([encoded]):
        if isinstance(event, TickFailure):
            raise ValueError(f"the fixture must not fail: {event}")
        writer.output(event, wall_ns)


if __name__ == "__main__":
    write_session(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FILE)
