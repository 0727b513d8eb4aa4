"""Wire items and tools as the messages and tools a model is told.

A function call is an assistant's text `<tool_call>{"name": …, "arguments": …}</tool_call>`, its output a message of
the tool. Everything else about templates is the engine's business.
"""

from collections.abc import Callable, Iterable

import msgspec

from realtime.protocol.items import (
    Content,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    Item,
    OutputAudio,
)
from realtime.protocol.session_config import FunctionTool
from streams.types import AudioChunk, Message, Part, Role, Tool, VideoFrame

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


def engine_tools(tools: Iterable[FunctionTool]) -> tuple[Tool, ...]:
    return tuple(Tool(tool.name, tool.description, msgspec.json.encode(tool.parameters).decode()) for tool in tools)


def without_media(message: Message) -> Message | None:
    """The words of a message; None where there are none."""
    parts = tuple(part for part in message.parts if isinstance(part, str))
    return Message(message.pts_us, message.role, parts) if parts else None


def first_samples(message: Message, num_samples: int) -> Message | None:
    """A message of one sound, cut after `num_samples`; None where nothing is left."""
    (sound,) = message.parts
    if num_samples <= 0 or not isinstance(sound, AudioChunk):
        return None
    return Message(message.pts_us, message.role, (AudioChunk(sound.pts_us, sound.pcm[:num_samples]),))


def num_media_bytes(message: Message) -> int:
    """Bytes of the pictures and sounds a message keeps."""
    total = 0
    for part in message.parts:
        if isinstance(part, VideoFrame):
            total += part.rgb.nbytes
        elif isinstance(part, AudioChunk):
            total += part.pcm.nbytes
    return total
