"""One text frame from the server → one event.

`parse_event` never raises: what it does not know, or cannot read, becomes `Unknown` with the frame's content.
"""

import json
from collections.abc import Callable, Mapping

from omniweave_client.events import (
    AudioDelta,
    Error,
    Event,
    ImageDone,
    InputCommitted,
    InputTranscript,
    ResponseDone,
    ResponseStarted,
    ResponseStatus,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCall,
    TranscriptDelta,
    Unknown,
    Usage,
)
from omniweave_client.messages import REQUEST_KEY
from omniweave_client.pcm import decode_base64, decode_pcm16


class _Unreadable(Exception):
    pass


class _Fields:
    """Reads typed fields of one JSON object; a missing or mistyped one is `_Unreadable`."""

    def __init__(self, raw: object) -> None:
        if not isinstance(raw, dict):
            raise _Unreadable
        self.raw: Mapping[str, object] = raw

    def text(self, key: str) -> str:
        value = self.raw.get(key)
        if not isinstance(value, str):
            raise _Unreadable
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self.raw.get(key) is None else self.text(key)

    def integer(self, key: str) -> int:
        value = self.raw.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _Unreadable
        return value

    def integer_or_none(self, key: str) -> int | None:
        return None if self.raw.get(key) is None else self.integer(key)

    def child(self, key: str) -> "_Fields":
        return _Fields(self.raw.get(key))

    def child_or_none(self, key: str) -> "_Fields | None":
        return None if self.raw.get(key) is None else self.child(key)


def parse_event(frame: str | bytes) -> Event:
    try:
        raw: object = json.loads(frame)
    except ValueError:
        return Unknown("", frame)
    try:
        fields = _Fields(raw)
        kind = fields.text("type")
    except _Unreadable:
        return Unknown("", raw)
    parser = _PARSERS.get(kind)
    if parser is None:
        return Unknown(kind, raw)
    try:
        return parser(fields)
    except (_Unreadable, ValueError):  # ValueError: base64, odd sound, a status nobody knows
        return Unknown(kind, raw)


def _session_created(event: _Fields) -> SessionCreated:
    session = event.child("session")
    return SessionCreated(session.text("id"), session.text_or_none("model") or "", session.raw)


def _session_updated(event: _Fields) -> SessionUpdated:
    session = event.child("session")
    return SessionUpdated(session.text("id"), session.text_or_none("model") or "", session.raw)


def _error(event: _Fields) -> Error:
    error = event.child("error")
    return Error(
        error.text("message"), error.text_or_none("code"), error.text_or_none("param"), error.text_or_none("event_id")
    )


def _response_started(event: _Fields) -> ResponseStarted:
    response = event.child("response")
    metadata = response.child_or_none("metadata")
    return ResponseStarted(response.text("id"), metadata.text_or_none(REQUEST_KEY) if metadata else None)


def _response_done(event: _Fields) -> ResponseDone:
    response = event.child("response")
    details = response.child_or_none("status_details")
    reason = details.text_or_none("reason") if details else None
    failure = details.child_or_none("error") if details else None
    if failure is not None:
        reason = failure.text_or_none("message") or failure.text_or_none("code")
    usage = response.child_or_none("usage")
    return ResponseDone(
        response.text("id"), ResponseStatus(response.text("status")), reason, _usage(usage) if usage else None
    )


def _usage(usage: _Fields) -> Usage:
    details = usage.child_or_none("input_token_details")
    cached = details.integer_or_none("cached_tokens") if details else None
    return Usage(usage.integer("input_tokens"), usage.integer("output_tokens"), cached or 0)


def _text_delta(event: _Fields) -> TextDelta:
    return TextDelta(event.text("response_id"), event.text("delta"), event.integer_or_none("tick"))


def _transcript_delta(event: _Fields) -> TranscriptDelta:
    return TranscriptDelta(event.text("response_id"), event.text("delta"), event.integer_or_none("tick"))


def _audio_delta(event: _Fields) -> AudioDelta:
    pcm = decode_pcm16(decode_base64(event.text("delta")))
    return AudioDelta(event.text("response_id"), pcm, event.integer_or_none("tick"))


def _image_done(event: _Fields) -> ImageDone:
    header, _, body = event.text("image_url").partition(",")
    media_type = header.removeprefix("data:").removesuffix(";base64")
    return ImageDone(
        event.text("response_id"),
        decode_base64(body),
        media_type,
        event.integer("width"),
        event.integer("height"),
        event.integer_or_none("tick"),
    )


def _tool_call(event: _Fields) -> ToolCall:
    return ToolCall(event.text("response_id"), event.text("call_id"), event.text("name"), event.text("arguments"))


_PARSERS: Mapping[str, Callable[[_Fields], Event]] = {
    "session.created": _session_created,
    "session.updated": _session_updated,
    "error": _error,
    "input_audio_buffer.speech_started": lambda e: SpeechStarted(e.text("item_id"), e.integer("audio_start_ms")),
    "input_audio_buffer.speech_stopped": lambda e: SpeechStopped(e.text("item_id"), e.integer("audio_end_ms")),
    "input_audio_buffer.committed": lambda e: InputCommitted(e.text("item_id")),
    "conversation.item.input_audio_transcription.completed": lambda e: InputTranscript(
        e.text("item_id"), e.text("transcript")
    ),
    "response.created": _response_started,
    "response.output_text.delta": _text_delta,
    "response.output_audio_transcript.delta": _transcript_delta,
    "response.output_audio.delta": _audio_delta,
    "omniweave.image.done": _image_done,
    "response.function_call_arguments.done": _tool_call,
    "response.done": _response_done,
}
