"""What the server says, as frozen dataclasses. `tick` is None unless the session has `ticks`."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from omniweave_client.config import JsonObject
from omniweave_client.pcm import SAMPLE_RATE_HZ, Samples


class ResponseStatus(StrEnum):
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"  # max_output_tokens, or the model's own limit
    FAILED = "failed"


# --- the session ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """The first event. `session` is the whole effective configuration, as the wire has it."""

    id: str
    model: str
    session: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    id: str
    model: str
    session: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True)
class Error:
    """Something the client sent was wrong; `event_id` is that event's. The session lives on."""

    message: str
    code: str | None
    param: str | None
    event_id: str | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event this client has no type for, or could not read."""

    type: str
    raw: object


# --- what the server hears ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    item_id: str
    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class InputCommitted:
    """The sound since the last turn became the item `item_id`."""

    item_id: str


@dataclass(frozen=True, slots=True)
class InputTranscript:
    """What the server understood of spoken input, once per turn."""

    item_id: str
    text: str


# --- answers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; `cached_tokens` of the input had been read before."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """`request_id` is the id of the `respond` that asked for it, None if speech or another client did."""

    response_id: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class TextDelta:
    response_id: str
    text: str
    tick: int | None


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """The words of the sound that is being spoken."""

    response_id: str
    text: str
    tick: int | None


@dataclass(frozen=True, slots=True, eq=False)
class AudioDelta:
    """Speech: float32 [num_samples] mono at 24 kHz."""

    response_id: str
    pcm: Samples
    tick: int | None

    def __repr__(self) -> str:
        level = float(np.abs(self.pcm).max(initial=0.0))
        return f"AudioDelta({len(self.pcm) * 1000 // SAMPLE_RATE_HZ}ms peak {level:.2f} tick {self.tick})"


@dataclass(frozen=True, slots=True)
class ImageDone:
    """A picture, whole: an encoded file of type `media_type`."""

    response_id: str
    data: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    tick: int | None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a function called. `arguments` is JSON text, as the model wrote it."""

    response_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """Nothing of this answer follows. `reason` says why it did not complete."""

    response_id: str
    status: ResponseStatus
    reason: str | None
    usage: Usage | None


Event: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | Error
    | Unknown
    | SpeechStarted
    | SpeechStopped
    | InputCommitted
    | InputTranscript
    | ResponseStarted
    | TextDelta
    | TranscriptDelta
    | AudioDelta
    | ImageDone
    | ToolCall
    | ResponseDone
)
