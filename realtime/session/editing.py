"""The client's hand on the conversation: create, retrieve, truncate and delete items, and add the turns it spoke.

Each edit changes the `Conversation`, tells the `Context` what that means to the model, and answers the client.
"""

import base64
import binascii
from typing import Final

import msgspec

from realtime.protocol import client_events as ce
from realtime.protocol import server_events as ev
from realtime.protocol.audio import WireDecoder
from realtime.protocol.errors import ProtocolError
from realtime.protocol.images import parse_image_url
from realtime.protocol.items import FunctionCallItem, InputAudio, InputImage, Item, ItemReference, MessageItem, shown
from realtime.protocol.server_events import Send
from realtime.protocol.session_config import AudioFormat
from realtime.session.context import Context
from realtime.session.conversation import Conversation
from realtime.session.listening import VoiceTurn
from realtime.session.messages import PartDecoder, message_of
from realtime.session.setup import SessionSetup
from streams.types import AudioChunk, Message, Part, Role, VideoFrame

VOICE_CONTENT: Final = (InputAudio(transcript=None),)


class Editor:
    def __init__(self, setup: SessionSetup, conversation: Conversation, context: Context, send: Send) -> None:
        self._conversation = conversation
        self._context = context
        self._ids = setup.ids
        self._limits = setup.limits
        self._send = send

    def create(self, event: ce.ConversationItemCreate, audio_format: AudioFormat, pts_us: int) -> None:
        item = self._named(event.item)
        self._conversation.check_new(item, event.previous_item_id)
        message = self._message(item, audio_format, pts_us, "item")
        self._insert(shown(item), message, event.previous_item_id)

    def add_turn(self, item_id: str, turn: VoiceTurn, pts_us: int) -> None:
        """Something was said. The model has heard it in its ticks, so it is not told again."""
        item = MessageItem(id=item_id, role="user", content=VOICE_CONTENT)
        message = Message(pts_us, Role.USER, (AudioChunk(pts_us, turn.pcm),)) if turn.pcm is not None else None
        last_id = self._conversation.last_id
        self._send([ev.InputAudioBufferCommitted(item_id=item_id, previous_item_id=last_id)])
        previous = self._conversation.insert(item, message, first_sample=turn.first_sample)
        self._send(_announced(item, previous))

    def _insert(self, item: Item, message: Message | None, previous_item_id: str | None) -> None:
        was_last = previous_item_id is None or previous_item_id == self._conversation.last_id
        previous = self._conversation.insert(item, message, previous_item_id)
        if message is not None:
            if was_last:
                self._context.say(message)
            else:
                self._context.invalidate()
        self._send(_announced(item, previous))

    def retrieve(self, event: ce.ConversationItemRetrieve) -> None:
        self._send([ev.ConversationItemRetrieved(item=self._conversation.retrieve(event.item_id))])

    def truncate(self, event: ce.ConversationItemTruncate) -> None:
        end_ms, changed = self._conversation.truncate(event.item_id, event.audio_end_ms)
        if changed:
            self._context.invalidate()
        self._send(
            [
                ev.ConversationItemTruncated(
                    item_id=event.item_id, content_index=event.content_index, audio_end_ms=end_ms
                )
            ]
        )

    def delete(self, event: ce.ConversationItemDelete) -> None:
        self._conversation.delete(event.item_id)
        self._context.invalidate()
        self._send([ev.ConversationItemDeleted(item_id=event.item_id)])

    def read_input(
        self, entries: tuple[Item | ItemReference, ...], audio_format: AudioFormat, pts_us: int
    ) -> tuple[Message, ...]:
        """What the `input` of a response says to the model."""
        if len(entries) > self._limits.max_input_items:
            raise ProtocolError(
                f"the input has {len(entries)} items, the most is {self._limits.max_input_items}",
                code="invalid_value",
                param="response.input",
            )
        messages: list[Message] = []
        for index, entry in enumerate(entries):
            if isinstance(entry, ItemReference):
                message = self._conversation.message(entry.id)
            else:
                message = self._message(entry, audio_format, pts_us, f"response.input[{index}]")
            if message is not None:
                messages.append(message)
        return tuple(messages)

    # --- from the wire's items to what a model reads ----------------------------------------------------------------

    def _named(self, item: Item) -> Item:
        """`item` with the ids that the client left to the server."""
        if not item.id:
            item = msgspec.structs.replace(item, id=self._ids.item())
        if isinstance(item, FunctionCallItem) and not item.call_id:
            item = msgspec.structs.replace(item, call_id=self._ids.call())
        return item

    def _message(self, item: Item, audio_format: AudioFormat, pts_us: int, param: str) -> Message | None:
        images = [part for part in getattr(item, "content", ()) if isinstance(part, InputImage)]
        if len(images) > self._limits.max_images_per_item:
            raise ProtocolError(
                f"{param} has {len(images)} pictures, the most is {self._limits.max_images_per_item}",
                code="invalid_value",
                param=f"{param}.content",
            )
        return message_of(item, pts_us, self._decoder(audio_format, pts_us, f"{param}.content"))

    def _decoder(self, audio_format: AudioFormat, pts_us: int, param: str) -> PartDecoder:
        def decode(part: InputAudio | InputImage) -> Part | None:
            if isinstance(part, InputAudio):
                return _decode_sound(part, audio_format, pts_us, param)
            assert isinstance(part.image_url, str), "parse_item requires it"
            return VideoFrame(pts_us, parse_image_url(part.image_url, self._limits.max_image_pixels, param))

        return decode


def _announced(item: Item, previous: str | None) -> list[ev.ServerEvent]:
    return [
        ev.ConversationItemAdded(previous_item_id=previous, item=item),
        ev.ConversationItemDone(previous_item_id=previous, item=item),
    ]


def _decode_sound(part: InputAudio, audio_format: AudioFormat, pts_us: int, param: str) -> AudioChunk | None:
    if not isinstance(part.audio, str):
        return None
    try:
        data = base64.b64decode(part.audio, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(f"{param}: the audio is not valid base64: {error}", "invalid_value", param) from None
    pcm = WireDecoder(audio_format).push(data)
    return AudioChunk(pts_us, pcm) if len(pcm) else None
