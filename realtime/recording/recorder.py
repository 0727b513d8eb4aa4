"""Recordings: one MCAP file per session, written while the session runs, and read back as what was written.

`SessionRecorder` takes what a session sees and says, from any thread, and writes it on a thread of its own. It never
raises and never waits: a disk that fails or falls behind ends the recording, is logged and counted, and the session
goes on. `read_recording` opens a file, whole or cut off, and yields the same dataclasses again.

What survives: a killed process loses at most the last second. The file is synced to the disk once, when it is closed,
so a power cut may also take what the operating system had not written yet, commonly half a minute.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from mcap.records import Message
from numpy.typing import NDArray

from realtime.recording.format import Topic, WindowRecord
from realtime.recording.header import END_METADATA, HEADER_METADATA, NORMAL_END, RecordingHeader, read_header
from realtime.recording.media import decode_picture, decode_sound
from realtime.recording.scan import Span, read_messages, scan
from realtime.recording.thread import MAX_QUEUED_BYTES, RecordingThread, create_file
from realtime.recording.tokens import read_failure, read_input, read_output, read_timings
from realtime.recording.windows import messages_in, read_window, read_window_record
from realtime.recording.writer import RecordingWriter
from streams.types import Pixels, Samples, TickFailure, TickInput, TickOutput, TickWindow, Timings, VideoFrame

# --- writing --------------------------------------------------------------------------------------------------------


class SessionRecorder:
    """Records one session into `path`. Arrays that were handed over must not be changed afterwards.

    `on_stop` is called once, with the reason, where the recording ends before `close`; from any thread.
    """

    def __init__(
        self,
        path: Path,
        header: RecordingHeader,
        *,
        on_stop: Callable[[str], None] | None = None,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
        create: Callable[[Path], BinaryIO] = create_file,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._thread = RecordingThread(path, header, on_stop, max_queued_bytes, create)

    def window(self, window: TickWindow) -> None:
        self._write(lambda writer, wall_ns: writer.window(window, wall_ns), _window_bytes(window))

    def input(self, tick_input: TickInput) -> None:
        num_bytes = sum(_array_bytes(block.ids, block.codes, block.features) for block in tick_input.blocks)
        self._write(lambda writer, wall_ns: writer.input(tick_input, wall_ns), num_bytes)

    def output(self, output: TickOutput) -> None:
        num_bytes = _array_bytes(output.pcm, output.image, output.ids, output.codes)
        self._write(lambda writer, wall_ns: writer.output(output, wall_ns), num_bytes)

    def failure(self, failure: TickFailure) -> None:
        self._write(lambda writer, wall_ns: writer.failure(failure, wall_ns), len(failure.reason))

    def client_event(self, text: str, pts_us: int) -> None:
        self._write(lambda writer, wall_ns: writer.client_event(text, pts_us, wall_ns), len(text))

    def server_event(self, text: str, pts_us: int) -> None:
        self._write(lambda writer, wall_ns: writer.server_event(text, pts_us, wall_ns), len(text))

    def close(self) -> None:
        """Ask for the file to be finished. Returns at once; what comes later is not recorded."""
        self._thread.close()

    def join(self, timeout_s: float | None = None) -> bool:
        """After `close`: wait until the file is whole. False where that takes longer. Never on the event loop."""
        return self._thread.join(timeout_s)

    @property
    def stop_reason(self) -> str | None:
        """Why the recording ended before `close`; None while it runs and after a normal end."""
        return self._thread.stop_reason

    @property
    def num_lost(self) -> int:
        """How many things came too late, or were still waiting when the recording stopped."""
        return self._thread.num_lost

    def _write(self, write: Callable[[RecordingWriter, int], None], num_bytes: int) -> None:
        wall_ns = self._wall_ns()
        self._thread.put(lambda writer: write(writer, wall_ns), num_bytes)


def _array_bytes(*arrays: NDArray[Any] | None) -> int:
    return sum(array.nbytes for array in arrays if array is not None)


def _window_bytes(window: TickWindow) -> int:
    num_bytes = _array_bytes(window.audio, *(frame.rgb for frame in window.frames))
    for message in messages_in(window.commands):
        for part in message.parts:
            if isinstance(part, str):
                num_bytes += len(part)
            else:
                num_bytes += part.rgb.nbytes if isinstance(part, VideoFrame) else part.pcm.nbytes
    return num_bytes


# --- reading --------------------------------------------------------------------------------------------------------


class Direction(StrEnum):
    CLIENT = "client"  # from the client to the server
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it was on the wire, with notes in place of base64 media."""

    direction: Direction
    pts_us: int
    text: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording on disk. Each iterator reads the file once more from its start; nothing is kept in memory.

    `ending` says why the end of the session is missing, and is None where nothing is.
    """

    path: Path
    header: RecordingHeader
    ending: str | None
    chunks: tuple[Span, ...]

    def windows(self) -> Iterator[TickWindow]:
        sound: Samples | None = None
        frames: list[Pixels] = []
        pictures: list[Pixels] = []
        for topic, message in self._messages(Topic.AUDIO_IN, Topic.VIDEO_IN, Topic.IMAGE_IN, Topic.WINDOW):
            match topic:
                case Topic.AUDIO_IN:
                    sound = decode_sound(message.data)
                case Topic.VIDEO_IN:
                    frames.append(decode_picture(message.data))
                case Topic.IMAGE_IN:
                    pictures.append(decode_picture(message.data))
                case Topic.WINDOW:
                    yield read_window(message.data, self.header.session, sound, frames, pictures)
                    sound, frames, pictures = None, [], []

    def window_records(self) -> Iterator[WindowRecord]:
        """The windows without their sound and pictures, for those who only count."""
        for _, message in self._messages(Topic.WINDOW):
            yield read_window_record(message.data)

    def inputs(self) -> Iterator[TickInput]:
        for _, message in self._messages(Topic.INPUT):
            yield read_input(message.data, self.header.session)

    def outputs(self) -> Iterator[TickOutput]:
        sound: Samples | None = None
        image: Pixels | None = None
        timings = Timings()
        for topic, message in self._messages(Topic.AUDIO_OUT, Topic.IMAGE_OUT, Topic.TIMINGS, Topic.OUTPUT):
            match topic:
                case Topic.AUDIO_OUT:
                    sound = decode_sound(message.data)
                case Topic.IMAGE_OUT:
                    image = decode_picture(message.data)
                case Topic.TIMINGS:
                    timings = read_timings(message.data)
                case Topic.OUTPUT:
                    yield read_output(message.data, self.header.session, sound, image, timings)
                    sound, image, timings = None, None, Timings()

    def failures(self) -> Iterator[TickFailure]:
        for _, message in self._messages(Topic.FAILURES):
            yield read_failure(message.data, self.header.session)

    def events(self) -> Iterator[RecordedEvent]:
        for topic, message in self._messages(Topic.CLIENT_EVENTS, Topic.SERVER_EVENTS):
            direction = Direction.CLIENT if topic is Topic.CLIENT_EVENTS else Direction.SERVER
            pts_us = (message.log_time - self.header.created_wall_ns) // 1000
            yield RecordedEvent(direction, pts_us, message.data.decode())

    def _messages(self, *topics: Topic) -> Iterator[tuple[Topic, Message]]:
        for topic, message in read_messages(self.path, self.chunks, frozenset(topics)):
            yield Topic(topic), message


def read_recording(path: Path) -> Recording:
    """Open a recording, also one that was cut off anywhere after its header. ValueError for anything else."""
    found = scan(path)
    if HEADER_METADATA not in found.metadata:
        raise ValueError(f"{path} is not a recording: it has no header")
    header = read_header(found.metadata[HEADER_METADATA])
    why = found.metadata.get(
        END_METADATA, {"why": f"the file was not closed: {found.num_bytes} bytes of it are whole"}
    )["why"]
    return Recording(path, header, None if why == NORMAL_END else why, found.chunks)
