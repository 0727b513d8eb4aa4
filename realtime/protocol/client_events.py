"""What clients may send, one struct per wire type. Values are already lenient-parsed: no nulls, GA names only."""

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from realtime.protocol.items import Item, ItemReference
from realtime.protocol.session_config import AudioFormat, FunctionTool, ToolChoice
from realtime.protocol.session_patch import SessionPatch


class ClientEventBase(Struct, frozen=True, kw_only=True, tag_field="type"):
    """`event_id` is the client's own name for the event, given back in an error about it."""

    event_id: str | None = None


class SessionUpdate(ClientEventBase, frozen=True, kw_only=True, tag="session.update"):
    session: SessionPatch


class InputAudioBufferAppend(ClientEventBase, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """`audio` is raw bytes in the session's input format, in pieces of any length; the wire has base64."""

    audio: bytes


class InputAudioBufferCommit(ClientEventBase, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    pass


class InputAudioBufferClear(ClientEventBase, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    pass


class OutputAudioBufferClear(ClientEventBase, frozen=True, kw_only=True, tag="output_audio_buffer.clear"):
    pass


class ConversationItemCreate(ClientEventBase, frozen=True, kw_only=True, tag="conversation.item.create"):
    """`previous_item_id`: None appends, "root" puts the item first, an id puts it after that item."""

    item: Item
    previous_item_id: str | None = None


class ConversationItemRetrieve(ClientEventBase, frozen=True, kw_only=True, tag="conversation.item.retrieve"):
    item_id: str


class ConversationItemTruncate(ClientEventBase, frozen=True, kw_only=True, tag="conversation.item.truncate"):
    item_id: str
    content_index: int = 0
    audio_end_ms: int


class ConversationItemDelete(ClientEventBase, frozen=True, kw_only=True, tag="conversation.item.delete"):
    item_id: str


class ResponseOptions(Struct, frozen=True, kw_only=True):
    """What one response does differently from its session. UNSET leaves the session's value."""

    output_modalities: tuple[Literal["text", "audio"], ...] | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    voice: str | UnsetType = UNSET
    audio_format: AudioFormat | UnsetType = UNSET
    tools: tuple[FunctionTool, ...] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    max_output_tokens: float | Literal["inf"] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    metadata: dict[str, str] | None = None
    conversation: Literal["auto", "none"] = "auto"
    input: tuple[Item | ItemReference, ...] | UnsetType = UNSET


class ResponseCreate(ClientEventBase, frozen=True, kw_only=True, tag="response.create"):
    response: ResponseOptions = ResponseOptions()


class ResponseCancel(ClientEventBase, frozen=True, kw_only=True, tag="response.cancel"):
    response_id: str | None = None


class OmniweaveVideoAppend(ClientEventBase, frozen=True, kw_only=True, tag="omniweave.video.append"):
    """Extension: one camera picture, an encoded image as the bytes of a file; the wire has base64 or a data URL."""

    image: bytes


class OmniweaveResponseRate(ClientEventBase, frozen=True, kw_only=True, tag="omniweave.response.rate"):
    """Extension: a thumb up or down for a response. Nothing happens but that a recording holds it."""

    response_id: str
    rating: Literal["up", "down"]


ClientEvent: TypeAlias = (
    SessionUpdate
    | InputAudioBufferAppend
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | OutputAudioBufferClear
    | ConversationItemCreate
    | ConversationItemRetrieve
    | ConversationItemTruncate
    | ConversationItemDelete
    | ResponseCreate
    | ResponseCancel
    | OmniweaveVideoAppend
    | OmniweaveResponseRate
)
