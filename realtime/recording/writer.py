"""One session as an MCAP file: dataclasses in, bytes out, in the order in which they come.

Synchronous and single-threaded; `SessionRecorder` puts it on a thread. Every method may raise what the disk raises.
The file can be read at any moment up to the last `flush`: MCAP is a sequence of records that a reader takes from the
front, and a flush ends the chunk in progress and hands it to the operating system. `finish` only adds the index.
"""

from typing import BinaryIO

from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.RawAudio_pb2 import RawAudio
from google.protobuf.descriptor import Descriptor  # type: ignore[import-untyped]
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import CompressionType, Writer

from realtime.recording.format import (
    EventRecord,
    FailureRecord,
    InputRecord,
    OutputRecord,
    Record,
    TimingsRecord,
    Topic,
    WindowRecord,
)
from realtime.recording.header import END_METADATA, HEADER_METADATA, RecordingHeader, header_metadata
from realtime.recording.media import encode_picture, encode_sound, event_json, sound_form
from realtime.recording.schema import descriptor_set, viewer_schema
from realtime.recording.tokens import failure_json, input_json, output_json, timings_json
from realtime.recording.windows import pictures_in, window_json
from streams.types import TICK_US, Pixels, Samples, TickFailure, TickInput, TickOutput, TickWindow, Timings

# A chunk is compressed as one piece and is lost as one piece when the process is killed while it grows.
CHUNK_BYTES = 256 * 1024

RECORD_OF_TOPIC: dict[Topic, type[Record]] = {
    Topic.WINDOW: WindowRecord,
    Topic.INPUT: InputRecord,
    Topic.OUTPUT: OutputRecord,
    Topic.TIMINGS: TimingsRecord,
    Topic.CLIENT_EVENTS: EventRecord,
    Topic.SERVER_EVENTS: EventRecord,
    Topic.FAILURES: FailureRecord,
}


class RecordingWriter:
    """Writes to `file`, which stays the caller's to close. `wall_ns` is when a thing was handed over."""

    def __init__(self, file: BinaryIO, header: RecordingHeader) -> None:
        self._header = header
        self._unflushed_bytes = 0
        # `flush` decides alone when a chunk ends, so that nothing stays behind in a buffer after a full one.
        self._mcap = Writer(file, chunk_size=1 << 40, compression=CompressionType.ZSTD)
        self._mcap.start(profile="", library=f"omniweave-realtime {header.server_version}")
        self._mcap.add_metadata(HEADER_METADATA, header_metadata(header))
        self._channels = self._register_channels()
        self.flush()

    def _register_channels(self) -> dict[Topic, int]:
        sound = self._register_protobuf(RawAudio.DESCRIPTOR)
        picture = self._register_protobuf(CompressedImage.DESCRIPTOR)
        channels = {
            topic: self._mcap.register_channel(topic, MessageEncoding.Protobuf, schema)
            for topic, schema in (
                (Topic.AUDIO_IN, sound),
                (Topic.AUDIO_OUT, sound),
                (Topic.VIDEO_IN, picture),
                (Topic.IMAGE_IN, picture),
                (Topic.IMAGE_OUT, picture),
            )
        }
        for topic, record in RECORD_OF_TOPIC.items():
            name = f"omniweave.{record.__name__}"
            schema = self._mcap.register_schema(name, SchemaEncoding.JSONSchema, viewer_schema(record))
            channels[topic] = self._mcap.register_channel(topic, MessageEncoding.JSON, schema)
        return channels

    def _register_protobuf(self, descriptor: Descriptor) -> int:
        schema = descriptor_set(descriptor.file)
        return int(self._mcap.register_schema(str(descriptor.full_name), SchemaEncoding.Protobuf, schema))

    # --- what a session hands over ------------------------------------------------------------------------------

    def window(self, window: TickWindow, wall_ns: int) -> None:
        self._check_session(window.session)
        pts_us = window.tick * TICK_US
        if window.audio is not None:
            self._sound(Topic.AUDIO_IN, window.audio, pts_us, wall_ns)
        for frame in window.frames:
            self._picture(Topic.VIDEO_IN, frame.rgb, frame.pts_us, wall_ns)
        for picture in pictures_in(window.commands):
            self._picture(Topic.IMAGE_IN, picture.rgb, picture.pts_us, wall_ns)
        self._add(Topic.WINDOW, window_json(window, sound_form(window.audio)), pts_us, wall_ns)

    def input(self, tick_input: TickInput, wall_ns: int) -> None:
        self._check_session(tick_input.session)
        self._add(Topic.INPUT, input_json(tick_input), tick_input.tick * TICK_US, wall_ns)

    def output(self, output: TickOutput, wall_ns: int) -> None:
        self._check_session(output.session)
        pts_us = output.tick * TICK_US
        if output.pcm is not None:
            self._sound(Topic.AUDIO_OUT, output.pcm, pts_us, wall_ns)
        if output.image is not None:
            self._picture(Topic.IMAGE_OUT, output.image, pts_us, wall_ns)
        if output.timings != Timings():
            self._add(Topic.TIMINGS, timings_json(output.tick, output.timings), pts_us, wall_ns)
        self._add(Topic.OUTPUT, output_json(output, sound_form(output.pcm)), pts_us, wall_ns)

    def failure(self, failure: TickFailure, wall_ns: int) -> None:
        self._check_session(failure.session)
        self._add(Topic.FAILURES, failure_json(failure), failure.tick * TICK_US, wall_ns)

    def client_event(self, text: str, pts_us: int, wall_ns: int) -> None:
        self._add(Topic.CLIENT_EVENTS, event_json(text), pts_us, wall_ns)

    def server_event(self, text: str, pts_us: int, wall_ns: int) -> None:
        self._add(Topic.SERVER_EVENTS, event_json(text), pts_us, wall_ns)

    # --- the file -----------------------------------------------------------------------------------------------

    @property
    def has_unflushed(self) -> bool:
        return self._unflushed_bytes > 0

    def flush(self) -> None:
        """Everything so far becomes readable, whatever happens to this process. A power cut is another matter."""
        self._mcap.flush()  # type: ignore[no-untyped-call]
        self._unflushed_bytes = 0

    def finish(self, why: str) -> None:
        """Write how the recording ended, and the index. Nothing may follow."""
        self._mcap.flush()  # type: ignore[no-untyped-call]
        self._mcap.add_metadata(END_METADATA, {"why": why})
        self._mcap.finish()  # type: ignore[no-untyped-call]

    def _check_session(self, session: str) -> None:
        if session != self._header.session:
            raise ValueError(
                f"a tick of session {session!r} does not belong into the recording of {self._header.session!r}"
            )

    def _sound(self, topic: Topic, pcm: Samples, pts_us: int, wall_ns: int) -> None:
        self._add(topic, encode_sound(pcm, self._log_ns(pts_us)), pts_us, wall_ns)

    def _picture(self, topic: Topic, rgb: Pixels, pts_us: int, wall_ns: int) -> None:
        self._add(topic, encode_picture(rgb, self._log_ns(pts_us), topic), pts_us, wall_ns)

    def _log_ns(self, pts_us: int) -> int:
        """Session time on the wall clock of the session's start, so that a viewer shows evenly spaced ticks."""
        return self._header.created_wall_ns + pts_us * 1000

    def _add(self, topic: Topic, data: bytes, pts_us: int, wall_ns: int) -> None:
        self._mcap.add_message(self._channels[topic], self._log_ns(pts_us), data, publish_time=wall_ns)
        self._unflushed_bytes += len(data)
        if self._unflushed_bytes >= CHUNK_BYTES:
            self.flush()
