"""What the server sends, one struct per wire type, in the GA shapes that the strictest client accepts.

A field that clients reject as null is UNSET when there is nothing to say. `event_id` is given last, when an event is
queued for sending, so that ids follow the order on the wire.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from realtime.protocol.errors import ProtocolError
from realtime.protocol.items import Item
from realtime.protocol.objects import ErrorDetails, Part, ResponseObject, TranscriptionError, TranscriptionSession
from realtime.protocol.session_config import SessionConfig

MAX_ERROR_CHARS: Final = 1_000  # messages quote what was sent

# --- session and conversation ---------------------------------------------------------------------------------------


class ServerEventBase(Struct, kw_only=True, tag_field="type"):
    event_id: str = ""


class Error(ServerEventBase, kw_only=True, tag="error"):
    error: ErrorDetails


class SessionCreated(ServerEventBase, kw_only=True, tag="session.created"):
    session: SessionConfig | TranscriptionSession


class SessionUpdated(ServerEventBase, kw_only=True, tag="session.updated"):
    session: SessionConfig | TranscriptionSession


class ConversationItemAdded(ServerEventBase, kw_only=True, tag="conversation.item.added"):
    previous_item_id: str | None  # null: it is the first
    item: Item


class ConversationItemDone(ServerEventBase, kw_only=True, tag="conversation.item.done"):
    previous_item_id: str | None
    item: Item


class ConversationItemRetrieved(ServerEventBase, kw_only=True, tag="conversation.item.retrieved"):
    item: Item


class ConversationItemTruncated(ServerEventBase, kw_only=True, tag="conversation.item.truncated"):
    item_id: str
    content_index: int
    audio_end_ms: int


class ConversationItemDeleted(ServerEventBase, kw_only=True, tag="conversation.item.deleted"):
    item_id: str


_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"


class ConversationItemInputAudioTranscriptionFailed(ServerEventBase, kw_only=True, tag=f"{_TRANSCRIPTION}.failed"):
    item_id: str
    content_index: int
    error: TranscriptionError


# --- the input buffer -----------------------------------------------------------------------------------------------


class InputAudioBufferSpeechStarted(ServerEventBase, kw_only=True, tag="input_audio_buffer.speech_started"):
    item_id: str
    audio_start_ms: int


class InputAudioBufferSpeechStopped(ServerEventBase, kw_only=True, tag="input_audio_buffer.speech_stopped"):
    item_id: str
    audio_end_ms: int


class InputAudioBufferCommitted(ServerEventBase, kw_only=True, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | None


class InputAudioBufferCleared(ServerEventBase, kw_only=True, tag="input_audio_buffer.cleared"):
    pass


class InputAudioBufferTimeoutTriggered(ServerEventBase, kw_only=True, tag="input_audio_buffer.timeout_triggered"):
    item_id: str
    audio_start_ms: int
    audio_end_ms: int


class OutputAudioBufferStarted(ServerEventBase, kw_only=True, tag="output_audio_buffer.started"):
    response_id: str


class OutputAudioBufferStopped(ServerEventBase, kw_only=True, tag="output_audio_buffer.stopped"):
    response_id: str


class OutputAudioBufferCleared(ServerEventBase, kw_only=True, tag="output_audio_buffer.cleared"):
    response_id: str


# --- responses ------------------------------------------------------------------------------------------------------


class ResponseCreated(ServerEventBase, kw_only=True, tag="response.created"):
    response: ResponseObject


class ResponseDone(ServerEventBase, kw_only=True, tag="response.done"):
    response: ResponseObject


class ResponseOutputItemAdded(ServerEventBase, kw_only=True, tag="response.output_item.added"):
    response_id: str
    output_index: int
    item: Item


class ResponseOutputItemDone(ServerEventBase, kw_only=True, tag="response.output_item.done"):
    response_id: str
    output_index: int
    item: Item


class PartEventBase(ServerEventBase, kw_only=True):
    """Events about one content part, whose place is filled in by the writer of that part.

    `tick` is there only for clients that switched tick numbers on.
    """

    response_id: str = ""
    item_id: str = ""
    output_index: int = 0
    content_index: int = 0
    tick: int | UnsetType = UNSET


class ResponseContentPartAdded(PartEventBase, kw_only=True, tag="response.content_part.added"):
    part: Part


class ResponseContentPartDone(PartEventBase, kw_only=True, tag="response.content_part.done"):
    part: Part


class ResponseOutputTextDelta(PartEventBase, kw_only=True, tag="response.output_text.delta"):
    delta: str


class ResponseOutputTextDone(PartEventBase, kw_only=True, tag="response.output_text.done"):
    text: str


class ResponseOutputAudioDelta(PartEventBase, kw_only=True, tag="response.output_audio.delta"):
    delta: str  # base64, whole samples


class ResponseOutputAudioDone(PartEventBase, kw_only=True, tag="response.output_audio.done"):
    pass


class ResponseOutputAudioTranscriptDelta(PartEventBase, kw_only=True, tag="response.output_audio_transcript.delta"):
    delta: str


class ResponseOutputAudioTranscriptDone(PartEventBase, kw_only=True, tag="response.output_audio_transcript.done"):
    transcript: str


class ResponseFunctionCallArgumentsDelta(ServerEventBase, kw_only=True, tag="response.function_call_arguments.delta"):
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str
    tick: int | UnsetType = UNSET


class ResponseFunctionCallArgumentsDone(ServerEventBase, kw_only=True, tag="response.function_call_arguments.done"):
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    name: str
    arguments: str


class OmniweaveImageDone(ServerEventBase, kw_only=True, tag="omniweave.image.done"):
    """Extension: a picture the model drew, whole."""

    response_id: str
    image_index: int  # counts the pictures of one response
    image_url: str  # data:image/…;base64,…
    width: int
    height: int
    tick: int | UnsetType = UNSET


ServerEvent: TypeAlias = (
    Error
    | SessionCreated
    | SessionUpdated
    | ConversationItemAdded
    | ConversationItemDone
    | ConversationItemRetrieved
    | ConversationItemTruncated
    | ConversationItemDeleted
    | ConversationItemInputAudioTranscriptionFailed
    | InputAudioBufferSpeechStarted
    | InputAudioBufferSpeechStopped
    | InputAudioBufferCommitted
    | InputAudioBufferCleared
    | InputAudioBufferTimeoutTriggered
    | OutputAudioBufferStarted
    | OutputAudioBufferStopped
    | OutputAudioBufferCleared
    | ResponseCreated
    | ResponseDone
    | ResponseOutputItemAdded
    | ResponseOutputItemDone
    | ResponseContentPartAdded
    | ResponseContentPartDone
    | ResponseOutputTextDelta
    | ResponseOutputTextDone
    | ResponseOutputAudioDelta
    | ResponseOutputAudioDone
    | ResponseOutputAudioTranscriptDelta
    | ResponseOutputAudioTranscriptDone
    | ResponseFunctionCallArgumentsDelta
    | ResponseFunctionCallArgumentsDone
    | OmniweaveImageDone
)

Send: TypeAlias = Callable[[Sequence[ServerEvent]], None]
"""Where the parts of a session put what the client is to be told."""


def error_event(error: ProtocolError) -> Error:
    """The event that tells a client what it did wrong, naming the event it sent."""
    details = ErrorDetails(
        type=error.type,
        code=error.code,
        message=error.message[:MAX_ERROR_CHARS],
        param=error.param[:MAX_ERROR_CHARS] if error.param is not None else None,
        event_id=error.event_id,
    )
    return Error(error=details)
