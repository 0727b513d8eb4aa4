"""The OpenAI Realtime GA wire, sans I/O: text frames in, client events out; server events in, text frames out.

`decode_client_event` accepts what real clients send and raises nothing but `ProtocolError`, whatever the bytes;
`encode_server_event` gives frames of less than 1 MiB in the shapes that the strictest client validates. The structs
are in `client_events.py` and `server_events.py`, named after their wire types. Nothing here keeps state.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Final

import msgspec

from realtime.protocol import client_events as ce
from realtime.protocol.client_events import ClientEvent
from realtime.protocol.errors import ProtocolError
from realtime.protocol.items import convert, parse_input, parse_item
from realtime.protocol.server_events import ServerEvent
from realtime.protocol.session_patch import (
    parse_format,
    parse_patch,
    parse_tool_choice,
    parse_tools,
    parse_voice,
    require_object,
)

__all__ = ["MAX_SERVER_FRAME_BYTES", "ClientEvent", "ProtocolError", "ServerEvent"]
__all__ += ["decode_client_event", "encode_server_event"]

MAX_SERVER_FRAME_BYTES: Final = 1_048_575  # Python's websockets, as pipecat uses it, refuses frames of 1 MiB + 1
MAX_EVENT_ID_CHARS: Final = 512  # of a client's event; a longer one is not given back

Fields = dict[str, object]
_ENCODER: Final = msgspec.json.Encoder()


def encode_server_event(event: ServerEvent) -> str:
    """One event as the text of one frame. The session keeps everything that goes into an event within its limits."""
    assert event.event_id, f"{type(event).__name__} has no event_id"
    frame = _ENCODER.encode(event)
    if len(frame) > MAX_SERVER_FRAME_BYTES:
        raise ValueError(f"{type(event).__name__} is {len(frame)} bytes long, a frame holds {MAX_SERVER_FRAME_BYTES}")
    return frame.decode()


def decode_client_event(data: str | bytes) -> ClientEvent:
    """The text of one frame as an event. Raises `ProtocolError`, with the client's `event_id` where it had one."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ProtocolError(f"the event is not valid JSON: {error}", code="invalid_json") from None
    except RecursionError:
        raise ProtocolError("the event is nested too deeply", code="invalid_json") from None
    if not isinstance(value, dict):
        raise ProtocolError("an event must be a JSON object", code="invalid_event")
    event_id = value.get("event_id")
    if not isinstance(event_id, str) or len(event_id) > MAX_EVENT_ID_CHARS:
        event_id = None
    value["event_id"] = event_id
    try:
        return _parse(value)
    except ProtocolError as error:
        error.event_id = event_id
        raise


def _parse(value: Fields) -> ClientEvent:
    kind = value.get("type")
    if not isinstance(kind, str):
        raise ProtocolError("type is missing", code="missing_required_parameter", param="type")
    if kind not in _PARSERS:
        raise ProtocolError(f"there is no event of type {kind!r:.80}", code="invalid_value", param="type")
    # Null and absent mean the same everywhere but inside a session, which has a parser of its own.
    return _PARSERS[kind]({key: field for key, field in value.items() if field is not None})


def _session_update(fields: Fields) -> ClientEvent:
    return ce.SessionUpdate(event_id=_event_id(fields), session=parse_patch(_required(fields, "session"), "session"))


def _append(fields: Fields) -> ClientEvent:
    return ce.InputAudioBufferAppend(event_id=_event_id(fields), audio=_decode_base64(fields, "audio"))


def _video_append(fields: Fields) -> ClientEvent:
    text = fields.get("image")
    if isinstance(text, str) and text.startswith("data:"):
        fields["image"] = text.partition(",")[2]
    return ce.OmniweaveVideoAppend(event_id=_event_id(fields), image=_decode_base64(fields, "image"))


def _item_create(fields: Fields) -> ClientEvent:
    previous = fields.get("previous_item_id")
    if previous is not None and not isinstance(previous, str):
        raise ProtocolError("previous_item_id must be a string", code="invalid_type", param="previous_item_id")
    item = parse_item(_required(fields, "item"), "item")
    return ce.ConversationItemCreate(event_id=_event_id(fields), item=item, previous_item_id=previous)


def _item_truncate(fields: Fields) -> ClientEvent:
    for key in ("audio_end_ms", "content_index"):
        if isinstance(value := fields.get(key), float):
            fields[key] = round(value)
    return convert(fields, ce.ConversationItemTruncate, "")


def _response_create(fields: Fields) -> ClientEvent:
    options = require_object(fields.get("response", {}), "response")
    return ce.ResponseCreate(event_id=_event_id(fields), response=parse_options(options, "response"))


def parse_options(value: Fields, param: str) -> ce.ResponseOptions:
    """Any client's spelling of a response's options, beta keys included."""
    options = {key: field for key, field in value.items() if field is not None}
    for old, new in (("modalities", "output_modalities"), ("max_response_output_tokens", "max_output_tokens")):
        if old in options:
            options.setdefault(new, options[old])
    audio = require_object(options.get("audio", {}), f"{param}.audio")
    output = require_object(audio.get("output") or {}, f"{param}.audio.output")
    voice = output.get("voice") or options.pop("voice", None)
    audio_format = output.get("format") or options.pop("output_audio_format", None)
    if voice is not None:
        options["voice"] = parse_voice(voice, f"{param}.audio.output.voice")
    if audio_format is not None:
        options["audio_format"] = parse_format(audio_format, f"{param}.audio.output.format")
    if "tools" in options:
        options["tools"] = parse_tools(options["tools"], f"{param}.tools")
    if "tool_choice" in options:
        options["tool_choice"] = parse_tool_choice(options["tool_choice"], f"{param}.tool_choice")
    if "input" in options:
        entries = options["input"]
        if not isinstance(entries, list):
            raise ProtocolError(f"{param}.input must be an array", code="invalid_type", param=f"{param}.input")
        options["input"] = [parse_input(entry, f"{param}.input[{index}]") for index, entry in enumerate(entries)]
    return convert(options, ce.ResponseOptions, param)


def _plain(event: type[ce.ClientEventBase]) -> Callable[[Fields], ClientEvent]:
    return lambda fields: convert(fields, event, "")  # type: ignore[return-value]


_PARSERS: Final[dict[str, Callable[[Fields], ClientEvent]]] = {
    "session.update": _session_update,
    "input_audio_buffer.append": _append,
    "input_audio_buffer.commit": _plain(ce.InputAudioBufferCommit),
    "input_audio_buffer.clear": _plain(ce.InputAudioBufferClear),
    "output_audio_buffer.clear": _plain(ce.OutputAudioBufferClear),
    "conversation.item.create": _item_create,
    "conversation.item.retrieve": _plain(ce.ConversationItemRetrieve),
    "conversation.item.truncate": _item_truncate,
    "conversation.item.delete": _plain(ce.ConversationItemDelete),
    "response.create": _response_create,
    "response.cancel": _plain(ce.ResponseCancel),
    "omniweave.video.append": _video_append,
    "omniweave.response.rate": _plain(ce.OmniweaveResponseRate),
}


def _event_id(fields: Fields) -> str | None:
    event_id = fields.get("event_id")
    return event_id if isinstance(event_id, str) else None


def _required(fields: Fields, key: str) -> object:
    if key not in fields:
        raise ProtocolError(f"{key} is missing", code="missing_required_parameter", param=key)
    return fields[key]


def _decode_base64(fields: Fields, key: str) -> bytes:
    text = _required(fields, key)
    if not isinstance(text, str):
        raise ProtocolError(f"{key} must be a string of base64", code="invalid_type", param=key)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(f"{key} is not valid base64: {error}", code="invalid_value", param=key) from None
