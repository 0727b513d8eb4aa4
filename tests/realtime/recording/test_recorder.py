"""Recordings give back what was put in, survive being cut off anywhere, and never disturb their session."""

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from realtime.recording.header import RecordingHeader
from realtime.recording.recorder import Direction, Recording, SessionRecorder, read_recording
from realtime.recording.writer import RecordingWriter
from streams.types import (
    SAMPLES_PER_TICK,
    EngineInfo,
    Message,
    Role,
    Stream,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
    VideoFrame,
)
from tests.realtime import ticks as draw
from tests.realtime.ticks import SESSION, same

WALL_NS = 1_700_000_000_000_000_000

ENGINE = EngineInfo(
    name="fake",
    max_sessions=4,
    max_steps_per_tick=8,
    weights_hash="w",
    build_hash="b",
    backend="reference",
    hears=True,
    sees=True,
    speaks=True,
    draws=False,
    self_paced=False,
    voices=("a", "b"),
)
HEADER = RecordingHeader(SESSION, 7, WALL_NS, ENGINE, "0.1.0", '{"type":"realtime"}')


def record(path: Path, events: Iterable[object]) -> Recording:
    """A recording of whatever a tick consists of, in the given order."""
    recorder = SessionRecorder(path, HEADER, wall_ns=lambda: WALL_NS + 5)
    for event in events:
        match event:
            case TickWindow():
                recorder.window(event)
            case TickInput():
                recorder.input(event)
            case TickOutput():
                recorder.output(event)
            case TickFailure():
                recorder.failure(event)
    recorder.close()
    assert recorder.join(60)
    assert recorder.stop_reason is None
    assert recorder.num_lost == 0
    return read_recording(path)


def plain_window(tick: int, rng: np.random.Generator) -> TickWindow:
    """Sound that 16 bits cannot hold, so that it is large and does not compress."""
    return TickWindow(SESSION, tick, rng.uniform(-1, 1, SAMPLES_PER_TICK).astype(np.float32))


# --- what goes in comes out -----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(draw.windows, draw.inputs, draw.outputs, draw.failures), max_size=6))
def test_everything_a_tick_consists_of_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, events: list[object]
) -> None:
    recording = record(tmp_path_factory.mktemp("recordings") / "session.mcap", events)
    for kind, read in (
        (TickWindow, recording.windows()),
        (TickInput, recording.inputs()),
        (TickOutput, recording.outputs()),
        (TickFailure, recording.failures()),
    ):
        assert same(tuple(read), tuple(event for event in events if isinstance(event, kind)))


def test_header_is_read_as_it_was_written(tmp_path: Path) -> None:
    recording = record(tmp_path / "session.mcap", [])
    assert recording.header == HEADER
    assert recording.ending is None


def test_integers_of_numpy_are_recorded_as_integers(tmp_path: Path) -> None:
    output = TickOutput(SESSION, 0, True, evicted=(np.int64(3),))  # type: ignore[arg-type]
    (read,) = record(tmp_path / "session.mcap", [output]).outputs()
    assert read.evicted == (3,)


def test_pictures_of_messages_and_of_the_camera_keep_their_places(tmp_path: Path) -> None:
    shade = [np.full((2, 3, 3), value, np.uint8) for value in range(4)]
    first = Message(0, Role.USER, ("left", VideoFrame(1, shade[0]), "right", VideoFrame(2, shade[1])))
    window = TickWindow(SESSION, 0, frames=(VideoFrame(3, shade[2]),), commands=(first,))
    later = TickWindow(SESSION, 1, frames=(VideoFrame(4, shade[3]),))
    assert same(tuple(record(tmp_path / "session.mcap", [window, later]).windows()), (window, later))


# --- events ---------------------------------------------------------------------------------------------------------


def event_texts(tmp_path: Path, *texts: str) -> list[str]:
    recorder = SessionRecorder(tmp_path / "session.mcap", HEADER)
    for number, text in enumerate(texts):
        recorder.client_event(text, number)
    recorder.close()
    recorder.join()
    return [event.text for event in read_recording(tmp_path / "session.mcap").events()]


def test_events_keep_their_order_direction_and_time(tmp_path: Path) -> None:
    recorder = SessionRecorder(tmp_path / "session.mcap", HEADER)
    recorder.client_event('{"type":"a"}', 250_001)
    recorder.server_event('{"type":"b"}', 250_000)
    recorder.close()
    recorder.join()
    first, second = read_recording(tmp_path / "session.mcap").events()
    assert (first.direction, first.pts_us, first.text) == (Direction.CLIENT, 250_001, '{"type":"a"}')
    assert (second.direction, second.pts_us, second.text) == (Direction.SERVER, 250_000, '{"type":"b"}')


def test_an_event_without_media_is_recorded_character_for_character(tmp_path: Path) -> None:
    text = '{ "type":"session.update", "session": {"instructions":"été", "x":1.50} }'
    assert event_texts(tmp_path, text) == [text]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"type": "x", "audio": "QUJD" * 100}, {"type": "x", "audio": "<400 characters of base64>"}),
        ({"type": "x", "delta": "AAAA" * 64}, {"type": "x", "delta": "<256 characters of base64>"}),
        (
            {"item": {"content": [{"image_url": "data:image/png;base64," + "AAAA" * 100}]}},
            {"item": {"content": [{"image_url": "<422 characters of base64>"}]}},
        ),
        ({"delta": "a word and another " * 100}, {"delta": "a word and another " * 100}),
    ],
)
def test_media_in_an_event_becomes_a_note_of_its_length(tmp_path: Path, event: object, expected: object) -> None:
    (text,) = event_texts(tmp_path, json.dumps(event))
    assert json.loads(text) == expected


@pytest.mark.parametrize("text", ['{"type": "a', "not json", "[" * 5000, '{"a":"\\ud800"}', "\ud800", '["a"]', "3"])
def test_an_event_that_is_not_a_json_object_is_recorded_inside_one(tmp_path: Path, text: str) -> None:
    (read,) = event_texts(tmp_path, text)
    assert set(json.loads(read)) & {"not_json", "not_an_object"}


# --- what a viewer sees ---------------------------------------------------------------------------------------------


def test_viewers_find_sound_pictures_and_records_on_the_wall_clock(tmp_path: Path) -> None:
    window = TickWindow(
        SESSION, 2, np.zeros(SAMPLES_PER_TICK, np.float32), frames=(VideoFrame(600_000, np.zeros((2, 2, 3), np.uint8)),)
    )
    recording = record(tmp_path / "session.mcap", [window])
    with recording.path.open("rb") as file:
        found = {
            channel.topic: (schema.name, schema.encoding, message.log_time - WALL_NS, message.publish_time - WALL_NS)
            for schema, channel, message in make_reader(file).iter_messages()
            if schema is not None
        }
    assert found == {
        "/audio/in": ("foxglove.RawAudio", "protobuf", 500_000_000, 5),
        "/video/in": ("foxglove.CompressedImage", "protobuf", 600_000_000, 5),
        "/tick/window": ("omniweave.WindowRecord", "jsonschema", 500_000_000, 5),
    }


def test_schemas_use_only_what_viewers_understand(tmp_path: Path) -> None:
    def check(schema: dict[str, object]) -> None:
        assert not {"$ref", "anyOf", "oneOf"} & set(schema)
        assert schema["type"] in ("object", "array", "string", "integer", "number", "boolean")
        if schema["type"] == "object":
            assert isinstance(schema["properties"], dict)
            for field in schema["properties"].values():
                check(field)
        if schema["type"] == "array":
            assert isinstance(schema["items"], dict)
            assert schema["items"]["type"] != "array"
            check(schema["items"])

    with record(tmp_path / "session.mcap", [TickInput(SESSION, 0)]).path.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    schemas = [json.loads(s.data) for s in summary.schemas.values() if s.encoding == "jsonschema"]
    assert len(schemas) >= 5
    for schema in schemas:
        check(schema)
        assert schema["type"] == "object"


# --- cut off anywhere -----------------------------------------------------------------------------------------------


def test_a_file_cut_off_at_any_byte_gives_a_prefix_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    windows = [plain_window(tick, rng) for tick in range(6)]
    path = tmp_path / "session.mcap"
    with path.open("wb") as file:
        writer = RecordingWriter(file, HEADER)
        for window in windows:
            writer.window(window, WALL_NS)
            writer.flush()
        writer.finish("closed")
    data = path.read_bytes()
    lengths = set()
    for num_bytes in [*range(1000, len(data), 997), *range(len(data) - 200, len(data))]:
        path.write_bytes(data[:num_bytes])
        recording = read_recording(path)
        read = tuple(recording.windows())
        assert same(read, tuple(windows[: len(read)]))
        assert len(read) == len(windows) if recording.ending is None else "not closed" in recording.ending
        lengths.add(len(read))
    assert lengths == set(range(7))


def test_a_file_cut_off_within_its_header_is_refused(tmp_path: Path) -> None:
    whole = record(tmp_path / "session.mcap", []).path.read_bytes()
    cut = tmp_path / "cut.mcap"
    for num_bytes in range(whole.index(b'"backend"')):
        cut.write_bytes(whole[:num_bytes])
        with pytest.raises(ValueError, match=str(cut)):
            read_recording(cut)


def test_unwritten_blocks_at_the_end_are_left_out(tmp_path: Path) -> None:
    recording = record(tmp_path / "session.mcap", [TickInput(SESSION, 0)])
    (chunk,) = recording.chunks
    whole = recording.path.read_bytes()
    recording.path.write_bytes(whole[: chunk.offset + chunk.num_bytes] + bytes(4096))
    assert read_recording(recording.path).ending is not None
    assert len(list(recording.inputs())) == 1


def test_a_damaged_chunk_is_an_error_that_names_it(tmp_path: Path) -> None:
    recording = record(tmp_path / "session.mcap", [plain_window(0, np.random.default_rng(0))])
    data = bytearray(recording.path.read_bytes())
    data[recording.chunks[0].offset + recording.chunks[0].num_bytes // 2] ^= 0xFF
    recording.path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        list(read_recording(recording.path).windows())


@pytest.mark.parametrize("data", [b"", b"not a recording at all", b"\x89MCAP0\r\n"])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=str(path)):
        read_recording(path)


CHILD = """
    import sys
    from pathlib import Path
    import numpy as np
    from realtime.recording.recorder import SessionRecorder
    from tests.realtime.recording.test_recorder import HEADER, plain_window

    class Telling:
        '''A file that tells the parent after every flush.'''
        def __init__(self, path):
            self.file = path.open("xb")
        def __enter__(self):
            return self
        def __exit__(self, *_):
            self.file.close()
        def write(self, data):
            return self.file.write(data)
        def tell(self):
            return self.file.tell()
        def flush(self):
            self.file.flush()
            print("flushed", flush=True)

    recorder = SessionRecorder(Path(sys.argv[1]), HEADER, create=Telling)
    rng = np.random.default_rng(0)
    for tick in range(100):
        recorder.window(plain_window(tick, rng))
    sys.stdin.read()
"""


def test_a_killed_process_leaves_a_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "session.mcap"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        for _ in range(4):  # the header, and three full chunks
            assert child.stdout.readline() == b"flushed\n"
        os.kill(child.pid, signal.SIGKILL)
    recording = read_recording(path)
    windows = list(recording.windows())
    rng = np.random.default_rng(0)
    assert len(windows) >= 3 * 5  # five of these windows fill a chunk
    assert all(same(window, plain_window(tick, rng)) for tick, window in enumerate(windows))
    assert recording.ending is not None


# --- a recording that fails leaves its session alone ----------------------------------------------------------------


class FailingFile(io.FileIO):
    """A disk that is full after `room` bytes."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(path, "x")
        self._room = room

    def write(self, data: object) -> int:
        written = super().write(data)  # type: ignore[arg-type]
        self._room -= written
        if self._room < 0:
            raise OSError(28, "No space left on device")
        return written


def test_a_full_disk_stops_the_recording_and_not_the_session(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reasons: list[str] = []
    path = tmp_path / "session.mcap"
    recorder = SessionRecorder(
        path,
        HEADER,
        create=lambda path: FailingFile(path, 600_000),
        on_stop=reasons.append,  # type: ignore[arg-type]
    )
    rng = np.random.default_rng(0)
    for tick in range(100):
        recorder.window(plain_window(tick, rng))
    assert recorder.join(60)  # nobody closed it
    assert recorder.stop_reason is not None
    assert "No space left" in recorder.stop_reason
    assert reasons == [recorder.stop_reason]
    assert caplog.messages == [f"recording {path} stopped: {recorder.stop_reason}"]
    assert recorder.num_lost > 50
    lost = recorder.num_lost
    recorder.window(plain_window(100, rng))
    recorder.close()
    assert recorder.num_lost == lost + 1
    assert len(list(read_recording(path).windows())) >= 5


class BlockedDisk:
    """A disk that takes nothing until it is released."""

    def __init__(self) -> None:
        self.released = False

    def __call__(self, path: Path) -> BinaryIO:
        while not self.released:
            os.sched_yield()
        return path.open("xb")


def test_a_disk_that_falls_behind_stops_the_recording_and_what_was_queued_is_kept(tmp_path: Path) -> None:
    disk = BlockedDisk()
    path = tmp_path / "session.mcap"
    recorder = SessionRecorder(path, HEADER, max_queued_bytes=200_000, create=disk)
    rng = np.random.default_rng(0)
    for tick in range(20):
        recorder.window(plain_window(tick, rng))
    assert recorder.stop_reason is not None
    assert "too slow" in recorder.stop_reason
    disk.released = True
    assert recorder.join(60)
    recording = read_recording(path)
    kept = len(list(recording.windows()))
    assert kept == 200_000 // (24_000 + 1024)
    assert recorder.num_lost == 20 - kept
    assert recording.ending == recorder.stop_reason


def test_an_older_recording_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "session.mcap"
    path.write_bytes(b"precious")
    recorder = SessionRecorder(path, HEADER)
    assert recorder.join(60)
    assert recorder.stop_reason is not None
    assert "FileExistsError" in recorder.stop_reason
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize(
    "hand_over",
    [
        lambda recorder: recorder.window(TickWindow("another", 0)),
        lambda recorder: recorder.input(TickInput(SESSION, -(2**40))),
        lambda recorder: recorder.output(TickOutput(SESSION, 0, True, text="\ud800")),
        lambda recorder: recorder.output(TickOutput(SESSION, 0, True, text=object())),
        lambda recorder: recorder.output(TickOutput(SESSION, 0, True, image=np.zeros((0, 0, 3), np.uint8))),
    ],
    ids=["another session", "no such time", "no such text", "no such type", "no such picture"],
)
def test_what_the_format_cannot_hold_stops_the_recording(
    tmp_path: Path, hand_over: Callable[[SessionRecorder], None]
) -> None:
    recorder = SessionRecorder(tmp_path / "session.mcap", HEADER)
    recorder.input(TickInput(SESSION, 0))
    hand_over(recorder)
    assert recorder.join(60)
    assert recorder.stop_reason is not None
    recording = read_recording(tmp_path / "session.mcap")
    assert recording.ending is not None


def test_what_comes_after_close_is_lost_without_an_error(tmp_path: Path) -> None:
    recorder = SessionRecorder(tmp_path / "session.mcap", HEADER)
    recorder.close()
    recorder.input(TickInput(SESSION, 0))
    assert recorder.join(60)
    assert recorder.stop_reason is None
    assert recorder.num_lost == 1
    assert list(read_recording(tmp_path / "session.mcap").inputs()) == []


def test_streams_are_written_by_name(tmp_path: Path) -> None:
    """The order of an enum may change; recordings must not."""
    block = draw.TokenBlock(Stream.AUDIO_IN, draw.Source.RECEIVED, 0, 0, ids=np.zeros(1, np.int32))
    path = record(tmp_path / "session.mcap", [TickInput(SESSION, 0, (block,))]).path
    with path.open("rb") as file:
        ((_, _, message),) = make_reader(file).iter_messages()
    assert json.loads(message.data)["actions"][0]["stream"] == "audio_in"
