"""Objects inside server events: errors, sessions, parts, responses and what they cost. GA shapes, as on the wire.

A field that clients reject as null is UNSET when there is nothing to say.
"""

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from realtime.protocol.errors import ErrorType
from realtime.protocol.items import Item
from realtime.protocol.session_config import AudioFormat, Modality, SessionConfig, Transcription, TurnDetection


class ErrorDetails(Struct, kw_only=True):
    type: ErrorType
    code: str | None
    message: str
    param: str | None
    event_id: str | None


class TranscriptionError(Struct, kw_only=True):
    """No nulls inside: the JavaScript client rejects them."""

    type: str
    code: str
    message: str


class TranscriptionAudioInput(Struct, kw_only=True):
    format: AudioFormat
    noise_reduction: None
    transcription: Transcription | None
    turn_detection: TurnDetection | None


class TranscriptionAudio(Struct, kw_only=True):
    input: TranscriptionAudioInput


class TranscriptionSession(Struct, kw_only=True):
    """The session object of a session that only transcribes."""

    type: Literal["transcription"] = "transcription"
    object: Literal["realtime.session.session"] = "realtime.session.session"
    id: str
    expires_at: int
    audio: TranscriptionAudio
    include: tuple[str, ...] | None = None


def session_object(config: SessionConfig) -> SessionConfig | TranscriptionSession:
    """The session as it is sent: whole, or what is left of it where nothing is answered."""
    if config.type == "realtime":
        return config
    given = config.audio.input
    return TranscriptionSession(
        id=config.id,
        expires_at=config.expires_at,
        audio=TranscriptionAudio(
            input=TranscriptionAudioInput(
                format=given.format,
                noise_reduction=None,
                transcription=given.transcription,
                turn_detection=given.turn_detection,
            )
        ),
        include=config.include,
    )


class AudioPart(Struct, kw_only=True, tag_field="type", tag="audio"):
    transcript: str | UnsetType = UNSET


class TextPart(Struct, kw_only=True, tag_field="type", tag="text"):
    text: str


Part: TypeAlias = AudioPart | TextPart
ResponseStatus: TypeAlias = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]
StatusReason: TypeAlias = Literal["turn_detected", "client_cancelled", "max_output_tokens", "content_filter"]


class StatusError(Struct, kw_only=True):
    type: str
    code: str
    message: str


class StatusDetails(Struct, kw_only=True):
    type: Literal["completed", "cancelled", "incomplete", "failed"]
    reason: StatusReason | UnsetType = UNSET
    error: StatusError | UnsetType = UNSET


class CachedTokens(Struct, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0


class InputTokens(Struct, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    cached_tokens: int = 0
    cached_tokens_details: CachedTokens


class OutputTokens(Struct, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0


class ResponseUsage(Struct, kw_only=True):
    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_token_details: InputTokens
    output_token_details: OutputTokens


class ResponseAudioOutput(Struct, kw_only=True):
    format: AudioFormat
    voice: str


class ResponseAudio(Struct, kw_only=True):
    output: ResponseAudioOutput


class ResponseObject(Struct, kw_only=True):
    object: Literal["realtime.response"] = "realtime.response"
    id: str
    status: ResponseStatus
    status_details: StatusDetails | None = None
    output: tuple[Item, ...] = ()
    conversation_id: str | None
    output_modalities: tuple[Modality, ...]
    max_output_tokens: int | Literal["inf"]
    audio: ResponseAudio
    metadata: dict[str, str] | None = None
    usage: ResponseUsage | None = None
