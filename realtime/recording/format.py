"""What a recording consists of: its channels, and the JSON objects that a tick is written as.

`recording_windows` and `recording_tokens` turn the dataclasses of `streams.types` into these records and back,
`recording_media` writes sound and pictures. `docs/recording.md` shows the same format to people.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec
import numpy as np

from streams.types import Features, Finish, Respond, Role, Samples, Tool, ToolCallDelta, Usage


class Topic(StrEnum):
    """The channels of a recording."""

    AUDIO_IN = "/audio/in"
    AUDIO_OUT = "/audio/out"
    VIDEO_IN = "/video/in"
    IMAGE_IN = "/image/in"
    IMAGE_OUT = "/image/out"
    WINDOW = "/tick/window"
    INPUT = "/tick/input"
    OUTPUT = "/tick/output"
    TIMINGS = "/tick/timings"
    CLIENT_EVENTS = "/events/client"
    SERVER_EVENTS = "/events/server"
    FAILURES = "/failures"


class SoundForm(StrEnum):
    """Where the exact samples of a record are."""

    NONE = "none"  # there is no sound
    S16 = "s16"  # in the sound message before this record: 16 bits hold every sample exactly
    F32 = "f32"  # in this record; the sound message before it is a rounded copy to listen to


# --- records: how each dataclass looks on disk ----------------------------------------------------------------------


class Record(msgspec.Struct, omit_defaults=True):
    """Base of what is written as a JSON object."""


class Tagged(Record, tag_field="kind", tag=True):
    """Base of the alternatives of a list, told apart by `kind`."""


class TextPart(Tagged, tag="text"):
    text: str


class PicturePart(Tagged, tag="picture"):
    """The pixels are the next unused `/image/in` message before this record."""

    pts_us: int


class SoundPart(Tagged, tag="sound"):
    pts_us: int
    f32: bytes  # little-endian float32 [num_samples]


class MessageRecord(Tagged, tag="message"):
    pts_us: int
    role: Role
    parts: list[TextPart | PicturePart | SoundPart]


class RewriteRecord(Tagged, tag="rewrite"):
    prefix: list[MessageRecord]
    history: list[MessageRecord]
    tools: list[Tool] = []


class RespondRecord(Tagged, tag="respond"):
    respond: Respond


class HoldRecord(Tagged, tag="hold"):
    pass


class PaceRecord(Tagged, tag="pace"):
    free: bool


class BlockRecord(Tagged, tag="block"):
    """`codes` are row by row, `num_codebooks` each; `features_f32` are rows of `num_features` little-endian float32."""

    stream: str
    source: str
    tick: int
    position: int
    ids: list[int] | None = None
    codes: list[int] | None = None
    num_codebooks: int = 0
    features_f32: bytes | None = None
    num_features: int = 0
    pinned: bool = False


class OpenTurnRecord(Tagged, tag="open_turn"):
    respond: Respond


class CloseTurnRecord(Tagged, tag="close_turn"):
    pass


class ClearRecord(Tagged, tag="clear"):
    pass


CommandRecord: TypeAlias = MessageRecord | RewriteRecord | RespondRecord | HoldRecord | PaceRecord
ActionRecord: TypeAlias = BlockRecord | OpenTurnRecord | CloseTurnRecord | ClearRecord | PaceRecord


class WindowRecord(Record):
    tick: int
    sound: SoundForm = SoundForm.NONE
    sound_f32: bytes = b""
    gap_samples: int = 0
    frames_pts_us: list[int] = []  # one `/video/in` message each, in this order
    commands: list[CommandRecord] = []


class InputRecord(Record):
    tick: int
    actions: list[ActionRecord] = []


class OutputRecord(Record):
    tick: int
    done: bool
    response: str | None = None
    text: str = ""
    tool_calls: list[ToolCallDelta] = []
    sound: SoundForm = SoundForm.NONE
    sound_f32: bytes = b""
    has_image: bool = False  # the `/image/out` message before this record
    ids: list[int] = []
    codes: list[int] = []
    num_codebooks: int = 4
    finish: Finish | None = None
    usage: Usage = Usage()
    evicted: list[int] = []


class TimingsRecord(Record):
    tick: int
    encode_us: int = 0
    prefill_us: int = 0
    decode_us: int = 0
    codec_us: int = 0
    steps: int = 0


class FailureRecord(Record):
    tick: int
    reason: str


class EventRecord(Record):
    """Only the schema of an event: the events themselves are stored as they were on the wire."""

    type: str = ""
    event_id: str = ""


# --- as bytes -------------------------------------------------------------------------------------------------------


def _plain_number(value: object) -> object:
    """NumPy's scalars, which an engine may leave in a dataclass, are written as the numbers that they are."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a recording cannot hold a {type(value).__name__}")


_encoder = msgspec.json.Encoder(enc_hook=_plain_number)


def encode_record(record: Record) -> bytes:
    return _encoder.encode(record)


def f32_bytes(array: Samples | Features) -> bytes:
    return np.ascontiguousarray(array, dtype="<f4").tobytes()


def f32_array(data: bytes) -> Samples:
    return np.frombuffer(data, dtype="<f4").astype(np.float32)
