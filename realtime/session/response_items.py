"""The items of one answer while they are being written: an opening, deltas and a closing in the order clients expect.

A writer turns pieces of text, sound or a function call's arguments into server events and keeps what the finished
item will hold. It knows its own item only; which item comes next is the response's decision.
"""

import base64
from dataclasses import dataclass
from typing import TypeVar

from msgspec import UNSET, UnsetType

from realtime.protocol import server_events as ev
from realtime.protocol.audio import WireEncoder, pieces
from realtime.protocol.items import Content, FunctionCallItem, Item, ItemStatus, MessageItem, OutputAudio, OutputText
from realtime.protocol.objects import AudioPart, TextPart
from realtime.protocol.server_events import ServerEvent
from realtime.protocol.session_config import AudioFormat
from realtime.session.conversation import Conversation, Spoken
from realtime.session.messages import message_of
from streams.types import SAMPLE_RATE_HZ, Samples

P = TypeVar("P", bound=ev.PartEventBase)
Tick = int | UnsetType


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item belongs: its response, its place there, and the conversation it joins, None out of band."""

    response_id: str
    output_index: int
    conversation: Conversation | None

    def added(self, item: Item) -> list[ServerEvent]:
        events: list[ServerEvent] = [
            ev.ResponseOutputItemAdded(response_id=self.response_id, output_index=self.output_index, item=item)
        ]
        if self.conversation is not None:
            previous = self.conversation.insert(item, None)
            events.append(ev.ConversationItemAdded(previous_item_id=previous, item=item))
        return events

    def done(self, item: Item, pts_us: int, spoken: Spoken | None = None) -> tuple[Item, list[ServerEvent]]:
        """The final item, short of what the client cut off meanwhile, and the events that say so."""
        events: list[ServerEvent] = []
        if self.conversation is not None and item.id in self.conversation:
            item = self.conversation.update(item, message_of(item, pts_us), spoken)
            previous = self.conversation.previous_id(item.id)
            events.append(ev.ConversationItemDone(previous_item_id=previous, item=item))
        events.append(
            ev.ResponseOutputItemDone(response_id=self.response_id, output_index=self.output_index, item=item)
        )
        return item, events

    def withdrawn(self, item_id: str) -> list[ServerEvent]:
        """An item that will never be whole leaves the conversation again."""
        if self.conversation is None or item_id not in self.conversation:
            return []
        self.conversation.delete(item_id)
        return [ev.ConversationItemDeleted(item_id=item_id)]


class _PartWriter:
    """One content part of a message: its place, and the events that carry it."""

    def __init__(self, place: Place, item_id: str, content_index: int) -> None:
        self._place = place
        self._item_id = item_id
        self._content_index = content_index

    def _at(self, event: P) -> P:
        event.response_id = self._place.response_id
        event.output_index = self._place.output_index
        event.item_id = self._item_id
        event.content_index = self._content_index
        return event


class TextWriter(_PartWriter):
    """A part of written text."""

    def __init__(self, place: Place, item_id: str, content_index: int) -> None:
        super().__init__(place, item_id, content_index)
        self._text = ""

    def open(self) -> list[ServerEvent]:
        return [self._at(ev.ResponseContentPartAdded(part=TextPart(text="")))]

    def push(self, text: str, tick: Tick) -> list[ServerEvent]:
        self._text += text
        return [self._at(ev.ResponseOutputTextDelta(delta=text, tick=tick))]

    def close(self) -> list[ServerEvent]:
        return [
            self._at(ev.ResponseOutputTextDone(text=self._text)),
            self._at(ev.ResponseContentPartDone(part=TextPart(text=self._text))),
        ]

    def content(self) -> Content:
        return OutputText(text=self._text)


class SpeechWriter(_PartWriter):
    """A part of sound and its transcript."""

    def __init__(self, place: Place, item_id: str, content_index: int, audio_format: AudioFormat) -> None:
        super().__init__(place, item_id, content_index)
        self._encoder = WireEncoder(audio_format)
        self._num_samples = 0
        self._tick_start_ms = 0  # where the sound of the latest tick begins
        self._pieces: list[tuple[int, str]] = []

    def open(self) -> list[ServerEvent]:
        return [self._at(ev.ResponseContentPartAdded(part=AudioPart(transcript="")))]

    def push_sound(self, pcm: Samples, tick: Tick) -> list[ServerEvent]:
        self._tick_start_ms = self._duration_ms()
        self._num_samples += len(pcm)
        return [event for piece in pieces(pcm) for event in self._delta(self._encoder.push(piece), tick)]

    def push_transcript(self, text: str, tick: Tick) -> list[ServerEvent]:
        self._pieces.append((self._tick_start_ms, text))
        return [self._at(ev.ResponseOutputAudioTranscriptDelta(delta=text, tick=tick))]

    def close(self) -> list[ServerEvent]:
        transcript = self.spoken().transcript
        return [
            *self._delta(self._encoder.flush(), UNSET),
            self._at(ev.ResponseOutputAudioDone()),
            self._at(ev.ResponseOutputAudioTranscriptDone(transcript=transcript)),
            self._at(ev.ResponseContentPartDone(part=AudioPart(transcript=transcript))),
        ]

    def content(self) -> Content:
        return OutputAudio(transcript=self.spoken().transcript)

    def spoken(self) -> Spoken:
        return Spoken(self._duration_ms(), tuple(self._pieces))

    def _duration_ms(self) -> int:
        return self._num_samples * 1000 // SAMPLE_RATE_HZ

    def _delta(self, sound: bytes, tick: Tick) -> list[ServerEvent]:
        if not sound:
            return []
        return [self._at(ev.ResponseOutputAudioDelta(delta=base64.b64encode(sound).decode(), tick=tick))]


class MessageWriter:
    """An assistant's message: written text, speech, or both as two parts. `None` for a part that is not wanted."""

    def __init__(self, place: Place, item_id: str, audio_format: AudioFormat | None, writes_text: bool) -> None:
        self._place = place
        self._item_id = item_id
        self._audio_format = audio_format
        self._writes_text = writes_text
        self._parts: list[TextWriter | SpeechWriter] = []

    def open(self) -> list[ServerEvent]:
        """The item; a lone part is announced at once, of two each when it begins."""
        events = self._place.added(self._item("in_progress"))
        if self._audio_format is not None and not self._writes_text:
            events += self._speech()[1]
        elif self._audio_format is None:
            events += self._text()[1]
        return events

    def push_text(self, text: str, tick: Tick) -> list[ServerEvent]:
        """Written text where that is wanted, else the transcript of what is spoken."""
        if self._writes_text:
            part, events = self._text()
            return events + part.push(text, tick)
        speech, events = self._speech()
        return events + speech.push_transcript(text, tick)

    def push_sound(self, pcm: Samples, tick: Tick) -> list[ServerEvent]:
        speech, events = self._speech()
        return events + speech.push_sound(pcm, tick)

    def close(self, status: ItemStatus, pts_us: int) -> tuple[Item, list[ServerEvent]]:
        events = [event for part in self._parts for event in part.close()]
        spoken = next((part.spoken() for part in self._parts if isinstance(part, SpeechWriter)), None)
        item, done = self._place.done(self._item(status), pts_us, spoken)
        return item, events + done

    def _item(self, status: ItemStatus) -> MessageItem:
        content = tuple(part.content() for part in self._parts)
        return MessageItem(id=self._item_id, status=status, role="assistant", content=content)

    def _text(self) -> tuple[TextWriter, list[ServerEvent]]:
        for part in self._parts:
            if isinstance(part, TextWriter):
                return part, []
        text = TextWriter(self._place, self._item_id, len(self._parts))
        self._parts.append(text)
        return text, text.open()

    def _speech(self) -> tuple[SpeechWriter, list[ServerEvent]]:
        for part in self._parts:
            if isinstance(part, SpeechWriter):
                return part, []
        assert self._audio_format is not None, "a message without sound was given some"
        speech = SpeechWriter(self._place, self._item_id, len(self._parts), self._audio_format)
        self._parts.append(speech)
        return speech, speech.open()


class CallWriter:
    """A function call whose arguments arrive in pieces."""

    def __init__(self, place: Place, item_id: str, call_id: str, name: str) -> None:
        self._place = place
        self._item_id = item_id
        self._call_id = call_id
        self._name = name
        self._arguments = ""

    def open(self) -> list[ServerEvent]:
        return self._place.added(self._item("in_progress"))

    def push(self, arguments: str, tick: Tick) -> list[ServerEvent]:
        self._arguments += arguments
        return [
            ev.ResponseFunctionCallArgumentsDelta(
                response_id=self._place.response_id,
                item_id=self._item_id,
                output_index=self._place.output_index,
                call_id=self._call_id,
                delta=arguments,
                tick=tick,
            )
        ]

    def close(self, status: ItemStatus, pts_us: int) -> tuple[Item | None, list[ServerEvent]]:
        """A call that was cut off is withdrawn: clients run a function as soon as its item is done."""
        if status != "completed":
            return None, self._place.withdrawn(self._item_id)
        done = ev.ResponseFunctionCallArgumentsDone(
            response_id=self._place.response_id,
            item_id=self._item_id,
            output_index=self._place.output_index,
            call_id=self._call_id,
            name=self._name,
            arguments=self._arguments,
        )
        item, events = self._place.done(self._item(status), pts_us)
        return item, [done, *events]

    def _item(self, status: ItemStatus) -> FunctionCallItem:
        return FunctionCallItem(
            id=self._item_id, status=status, call_id=self._call_id, name=self._name, arguments=self._arguments
        )
