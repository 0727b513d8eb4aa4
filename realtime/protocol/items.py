"""Conversation items as the wire has them: messages, function calls and their outputs.

`parse_item` takes whatever clients send (nulls, beta part names, text parts of the other side's kind, unknown roles)
and returns a valid item or raises `ProtocolError`; `shown` gives the form in which an item is sent back. Items are
immutable: an edit makes a new one.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from realtime.protocol.errors import ProtocolError

JsonObject: TypeAlias = Mapping[str, object]
ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]
MessageRole: TypeAlias = Literal["system", "user", "assistant"]

MAX_SHOWN_IMAGE_CHARS: Final = 32_768  # longer pictures are not sent back; a data channel message holds 64 KiB

# --- content parts --------------------------------------------------------------------------------------------------


class InputText(Struct, frozen=True, kw_only=True, tag_field="type", tag="input_text"):
    text: str


class InputAudio(Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    """`transcript` is always on the wire, null until known: JavaScript clients read the key unasked."""

    transcript: str | None = None
    audio: str | UnsetType = UNSET  # base64


class InputImage(Struct, frozen=True, kw_only=True, tag_field="type", tag="input_image"):
    image_url: str | UnsetType = UNSET  # data:image/…;base64,…
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class OutputText(Struct, frozen=True, kw_only=True, tag_field="type", tag="output_text"):
    text: str


class OutputAudio(Struct, frozen=True, kw_only=True, tag_field="type", tag="output_audio"):
    transcript: str | UnsetType = UNSET
    audio: str | UnsetType = UNSET  # base64


Content: TypeAlias = InputText | InputAudio | InputImage | OutputText | OutputAudio

# --- items ----------------------------------------------------------------------------------------------------------


class MessageItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    id: str = ""  # empty: to be chosen by the server
    object: Literal["realtime.item"] = "realtime.item"
    status: ItemStatus = "completed"
    role: MessageRole
    content: tuple[Content, ...] = ()


class FunctionCallItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    id: str = ""
    object: Literal["realtime.item"] = "realtime.item"
    status: ItemStatus = "completed"
    call_id: str = ""
    name: str
    arguments: str


class FunctionCallOutputItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"):
    id: str = ""
    object: Literal["realtime.item"] = "realtime.item"
    status: ItemStatus = "completed"
    call_id: str
    output: str


class ItemReference(Struct, frozen=True, kw_only=True, tag_field="type", tag="item_reference"):
    """Stands for an item of the conversation in the input of an out-of-band response."""

    id: str


Item: TypeAlias = MessageItem | FunctionCallItem | FunctionCallOutputItem
S = TypeVar("S", bound=Struct)


def shown(item: Item) -> Item:
    """`item` as it is sent to clients: without sound, and without pictures that would make a frame too large."""
    if not isinstance(item, MessageItem):
        return item
    return msgspec.structs.replace(item, content=tuple(_shown_part(part) for part in item.content))


def _shown_part(part: Content) -> Content:
    if isinstance(part, InputAudio | OutputAudio):
        return msgspec.structs.replace(part, audio=UNSET)
    if isinstance(part, InputImage) and part.image_url and len(part.image_url) > MAX_SHOWN_IMAGE_CHARS:
        return msgspec.structs.replace(part, image_url=UNSET)
    return part


# --- parsing --------------------------------------------------------------------------------------------------------

_ROLES: Final[dict[object, MessageRole]] = {"user": "user", "assistant": "assistant", "system": "system"}
_TEXT_PARTS: Final = ("input_text", "output_text", "text")
_AUDIO_PARTS: Final = ("input_audio", "output_audio", "audio")


def parse_input(value: object, param: str) -> Item | ItemReference:
    """One entry of `response.create`'s `input`: an item, or a reference to one."""
    if isinstance(value, dict) and value.get("type") == "item_reference":
        return convert(value, ItemReference, param)
    return parse_item(value, param)


def parse_item(value: object, param: str) -> Item:
    """Any client's spelling of an item → the item. `param` names it in errors."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{param} must be an object", code="invalid_type", param=param)
    fields = {key: field for key, field in value.items() if field is not None}
    fields.pop("object", None)
    fields["status"] = "incomplete" if fields.get("status") == "incomplete" else "completed"
    kind = fields.get("type", "message" if "role" in fields else None)
    if kind == "message":
        # An unknown role, such as "developer", speaks with the system's authority in every client that sends one.
        role = _ROLES.get(fields.get("role") if isinstance(fields.get("role"), str) else None, "system")
        content = _parse_content(fields.get("content", []), role, f"{param}.content")
        return convert(fields | {"type": "message", "role": role, "content": content}, MessageItem, param)
    if kind == "function_call":
        return convert(fields, FunctionCallItem, param)
    if kind == "function_call_output":
        return convert(fields, FunctionCallOutputItem, param)
    raise ProtocolError(
        f"{param}.type must be message, function_call or function_call_output, got {_clip(kind)}",
        code="invalid_value",
        param=f"{param}.type",
    )


def _parse_content(value: object, role: MessageRole, param: str) -> list[Content]:
    if isinstance(value, str):
        value = [{"type": "input_text", "text": value}]
    if not isinstance(value, list):
        raise ProtocolError(f"{param} must be an array", code="invalid_type", param=param)
    return [_parse_part(part, role, f"{param}[{index}]") for index, part in enumerate(value)]


def _parse_part(value: object, role: MessageRole, param: str) -> Content:
    if not isinstance(value, dict):
        raise ProtocolError(f"{param} must be an object", code="invalid_type", param=param)
    fields = {key: field for key, field in value.items() if field is not None}
    kind = fields.pop("type", None)
    if kind in _TEXT_PARTS:
        return convert(fields, OutputText, param) if role == "assistant" else convert(fields, InputText, param)
    if kind in _AUDIO_PARTS and role == "assistant":
        return convert(fields, OutputAudio, param)
    if kind in _AUDIO_PARTS and role == "user":
        return convert(fields, InputAudio, param)
    if kind == "input_image" and role == "user":
        if fields.get("detail") not in ("auto", "low", "high"):
            fields.pop("detail", None)
        if not isinstance(fields.get("image_url"), str):
            raise ProtocolError(f"{param}.image_url is missing", code="missing_required_parameter", param=param)
        return convert(fields, InputImage, param)
    raise ProtocolError(
        f"{param}.type: a {role} message cannot hold {_clip(kind)}", code="invalid_value", param=f"{param}.type"
    )


def convert(value: object, to: type[S], param: str) -> S:
    """`msgspec.convert` whose errors name the wire's parameter."""
    try:
        return msgspec.convert(value, to)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        where = param + path.removesuffix("`")
        raise ProtocolError(f"{where}: {reason}", code="invalid_value", param=where) from None


def _clip(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
