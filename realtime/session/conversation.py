"""The items of one conversation in their order, and what each means to the model.

Wire items go in and out; `as_messages` gives the past as the model is told it again. Bounded: beyond its limits the
oldest items are forgotten, as a model whose window slides forgets them. Knows nothing of events or engines.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from realtime.protocol.errors import ProtocolError
from realtime.protocol.items import FunctionCallItem, Item, MessageItem, OutputAudio, shown
from realtime.session.limits import SessionLimits
from realtime.session.messages import first_samples, joined, message_of, num_media_bytes, without_media
from streams.types import Message

ROOT: Final = "root"  # as `previous_item_id`: in front of all items


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a spoken answer lies in time: `pieces` are (the millisecond at which a piece of transcript begins, text)."""

    duration_ms: int
    pieces: tuple[tuple[int, str], ...] = ()

    def until(self, end_ms: int) -> "Spoken":
        return Spoken(min(self.duration_ms, end_ms), tuple(piece for piece in self.pieces if piece[0] < end_ms))

    @property
    def transcript(self) -> str:
        return "".join(text for _, text in self.pieces)


@dataclass(slots=True)
class _Entry:
    item: Item
    message: Message | None
    num_bytes: int
    spoken: Spoken | None = None
    cut_ms: int | None = None  # where the client truncated it
    first_sample: int | None = None  # where its sound begins in the microphone's, if it came from there


class Conversation:
    def __init__(self, limits: SessionLimits) -> None:
        self._limits = limits
        self._entries: dict[str, _Entry] = {}  # in the order of the conversation
        self._num_bytes = 0
        self._forgotten_id: str | None = None  # before the first item that is left; clients still have it

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._entries

    @property
    def num_bytes(self) -> int:
        return self._num_bytes

    @property
    def last_id(self) -> str | None:
        return next(reversed(self._entries), self._forgotten_id)

    # --- changing it ------------------------------------------------------------------------------------------------

    def check_new(self, item: Item, previous_item_id: str | None = None) -> None:
        """Raise `ProtocolError` where `item` could not be inserted."""
        if item.id in self._entries:
            raise ProtocolError(
                f"there already is an item {_clip(item.id)}", code="item_create_duplicate_item_id", param="item.id"
            )
        if len(item.id) > self._limits.max_id_chars or item.id == ROOT:
            raise ProtocolError(f"{_clip(item.id)} cannot be an item's id", code="invalid_value", param="item.id")
        if previous_item_id not in (None, ROOT, self._forgotten_id) and previous_item_id not in self._entries:
            raise ProtocolError(
                f"there is no item {_clip(previous_item_id)} to put this one after",
                code="item_create_invalid_previous_item_id",
                param="previous_item_id",
            )
        num_bytes = len(msgspec.json.encode(shown(item)))
        if num_bytes > self._limits.max_item_bytes:
            raise ProtocolError(
                f"the item is {num_bytes} bytes long, the most is {self._limits.max_item_bytes}",
                code="item_too_large",
                param="item",
            )

    def insert(
        self,
        item: Item,
        message: Message | None,
        previous_item_id: str | None = None,
        first_sample: int | None = None,
    ) -> str | None:
        """Put `item` after another, at the end (None) or in front (`ROOT`). Returns the id before it, None if first."""
        self.check_new(item, previous_item_id)
        entry = _Entry(item, message, _num_bytes(item, message), first_sample=first_sample)
        if previous_item_id is None or previous_item_id == self.last_id:
            previous_item_id = self.last_id
            self._entries[item.id] = entry
        else:
            if previous_item_id == ROOT:
                previous_item_id = self._forgotten_id = None
            order = list(self._entries.items())
            is_first = previous_item_id == self._forgotten_id
            place = 0 if is_first else [item_id for item_id, _ in order].index(str(previous_item_id)) + 1
            order.insert(place, (item.id, entry))
            self._entries = dict(order)
        self._num_bytes += entry.num_bytes
        self._forget_oldest(keep=item.id)
        return previous_item_id

    def update(self, item: Item, message: Message | None, spoken: Spoken | None = None) -> Item:
        """Give an item its final content, short of what the client has cut off. Deleted items stay deleted."""
        entry = self._entries.get(item.id)
        if entry is None:
            return item
        entry.spoken = spoken
        self._set(entry, item, message)
        if entry.cut_ms is not None:
            self.truncate(item.id, entry.cut_ms)
        return entry.item

    def delete(self, item_id: str) -> None:
        entry = self._find(item_id, "item_delete_invalid_item_id")
        self._num_bytes -= entry.num_bytes
        del self._entries[item_id]

    def truncate(self, item_id: str, end_ms: int) -> tuple[int, bool]:
        """Cut an answer's sound at `end_ms`. Returns where it ends now, and whether anything was lost."""
        entry = self._find(item_id, "item_truncate_invalid_item_id")
        if not isinstance(entry.item, MessageItem) or entry.item.role != "assistant":
            raise ProtocolError(
                f"only an assistant's message can be truncated, {_clip(item_id)} is none",
                code="invalid_value",
                param="item_id",
            )
        end_ms = max(end_ms, 0)
        if entry.spoken is None:
            if entry.item.status == "in_progress":
                entry.cut_ms = end_ms if entry.cut_ms is None else min(end_ms, entry.cut_ms)
            return end_ms, False
        cut = entry.spoken.until(end_ms)
        changed = cut != entry.spoken
        if changed:
            entry.spoken = cut
            content = tuple(
                OutputAudio(transcript=cut.transcript) if isinstance(part, OutputAudio) else part
                for part in entry.item.content
            )
            item = msgspec.structs.replace(entry.item, content=content)
            self._set(entry, item, message_of(item, entry.message.pts_us) if entry.message else None)
        return cut.duration_ms, changed

    def _set(self, entry: _Entry, item: Item, message: Message | None) -> None:
        self._num_bytes -= entry.num_bytes
        entry.item, entry.message, entry.num_bytes = item, message, _num_bytes(item, message)
        self._num_bytes += entry.num_bytes

    def _forget_oldest(self, keep: str) -> None:
        """First the pictures and sounds of the oldest items, then the items."""
        old = [entry for key, entry in self._entries.items() if _is_settled(entry) and key != keep]
        for entry in old:
            if not self._is_too_large:
                break
            if entry.message is not None:
                self._set(entry, entry.item, without_media(entry.message))
        for entry in old:
            if not self._is_too_large and len(self._entries) <= self._limits.max_items:
                break
            if entry.item.id == next(iter(self._entries)):
                self._forgotten_id = entry.item.id
            self.delete(entry.item.id)

    @property
    def _is_too_large(self) -> bool:
        return self._num_bytes > self._limits.max_conversation_bytes

    # --- reading it -------------------------------------------------------------------------------------------------

    def retrieve(self, item_id: str) -> Item:
        return self._find(item_id, "item_retrieve_invalid_item_id").item

    def message(self, item_id: str) -> Message | None:
        """What an item says to the model; None where it says nothing."""
        return self._find(item_id, "item_retrieve_invalid_item_id").message

    def previous_id(self, item_id: str) -> str | None:
        """The id before `item_id`; None where it is the first, or gone."""
        before = self._forgotten_id
        for key in self._entries:
            if key == item_id:
                return before
            before = key
        return None

    def as_messages(self, num_heard: int | None = None) -> tuple[Message, ...]:
        """The past as the model is told it again: all settled items, a call joined to the words before it.

        Of the microphone's sound only the first `num_heard` samples are past; what follows is still to be heard.
        """
        messages: list[Message] = []
        for entry in self._entries.values():
            message = _heard(entry, num_heard)
            if message is None or not _is_settled(entry):
                continue
            if isinstance(entry.item, FunctionCallItem):
                if entry.item.status == "incomplete":
                    continue
                if messages and (together := joined(messages[-1], message)):
                    messages[-1] = together
                    continue
            messages.append(message)
        return tuple(messages)

    def _find(self, item_id: str, code: str) -> _Entry:
        try:
            return self._entries[item_id]
        except KeyError:
            raise ProtocolError(f"there is no item {_clip(item_id)}", code=code, param="item_id") from None


def _heard(entry: _Entry, num_heard: int | None) -> Message | None:
    """What of an entry is past."""
    if entry.message is None or entry.first_sample is None or num_heard is None:
        return entry.message
    return first_samples(entry.message, num_heard - entry.first_sample)


def _is_settled(entry: _Entry) -> bool:
    return entry.item.status != "in_progress"


def _num_bytes(item: Item, message: Message | None) -> int:
    return len(msgspec.json.encode(item)) + (num_media_bytes(message) if message else 0)


def _clip(text: str | None) -> str:
    return repr(text) if text is None or len(text) <= 80 else repr(text[:77] + "...")
