"""Wire items and session settings as the messages a model reads.

A function call is an assistant's text `<tool_call>{"name": …, "arguments": …}</tool_call>`, its output a message of
the tool; the functions on offer are listed in the system's message between `<tools>` and `</tools>`, in the notation
that SmolLM2-Instruct and other small open models were tuned on. The rest of a chat template is the engine's business.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from realtime.items import (
    Content,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    Item,
    OutputAudio,
)
from realtime.session_config import FunctionTool
from streams.types import AudioChunk, Message, Part, Role, Tool, VideoFrame

TOOLS_INTRODUCTION: Final = "You can call these functions:"
TOOLS_USE: Final = (
    "To call one, write only this, with the function's name and a JSON object of its arguments:\n"
    '<tool_call>{"name": "...", "arguments": {...}}</tool_call>'
)

PartDecoder = Callable[[InputAudio | InputImage], Part | None]
"""What turns the sound or picture of a part into media; None where it holds none."""


def message_of(item: Item, pts_us: int, decode: PartDecoder = lambda _: None) -> Message | None:
    """What `item` says to the model; None where it says nothing."""
    if isinstance(item, FunctionCallItem):
        return Message(pts_us, Role.ASSISTANT, (_call_text(item),))
    if isinstance(item, FunctionCallOutputItem):
        return Message(pts_us, Role.TOOL, (item.output,))
    parts = tuple(part for content in item.content if (part := _part(content, decode)))
    return Message(pts_us, Role(item.role), parts) if parts else None


def _part(content: Content, decode: PartDecoder) -> Part | None:
    if isinstance(content, InputImage):
        return decode(content)
    if isinstance(content, InputAudio):
        return decode(content) or content.transcript
    if isinstance(content, OutputAudio):
        return content.transcript or None
    return content.text


def _call_text(item: FunctionCallItem) -> str:
    name = msgspec.json.encode(item.name).decode()
    return f'<tool_call>{{"name": {name}, "arguments": {item.arguments or "{}"}}}</tool_call>'


def joined(first: Message, second: Message) -> Message | None:
    """Two messages of the assistant as one turn; None where one is somebody else's."""
    if not first.role == second.role == Role.ASSISTANT:
        return None
    return Message(first.pts_us, first.role, (*first.parts, "\n", *second.parts))


def system_messages(instructions: str, tools: Iterable[FunctionTool], pts_us: int) -> tuple[Message, ...]:
    """The pinned prefix: instructions and the functions on offer, or nothing where there are neither."""
    listed = "\n".join(msgspec.json.encode(_described(tool)).decode() for tool in tools)
    offer = f"{TOOLS_INTRODUCTION}\n<tools>\n{listed}\n</tools>\n{TOOLS_USE}" if listed else ""
    text = "\n\n".join(paragraph for paragraph in (instructions, offer) if paragraph)
    return (Message(pts_us, Role.SYSTEM, (text,)),) if text else ()


class _Described(msgspec.Struct):
    """A tool as it is listed to the model."""

    name: str
    description: str
    parameters: dict[str, object]


def _described(tool: FunctionTool) -> _Described:
    return _Described(tool.name, tool.description, tool.parameters)


def engine_tools(tools: Iterable[FunctionTool]) -> tuple[Tool, ...]:
    return tuple(Tool(tool.name, tool.description, msgspec.json.encode(tool.parameters).decode()) for tool in tools)


def num_media_bytes(message: Message) -> int:
    """Bytes of the pictures and sounds a message keeps."""
    total = 0
    for part in message.parts:
        if isinstance(part, VideoFrame):
            total += part.rgb.nbytes
        elif isinstance(part, AudioChunk):
            total += part.pcm.nbytes
    return total
