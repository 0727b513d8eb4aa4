"""The strictest client there is: every server event validated, and their order checked against what clients rely on.

Validation is that of openai-agents: the `openai` package's pydantic models, here in strict mode. The rest is what
JavaScript and Python clients were seen to need: no nulls where they are rejected, items placed by their predecessor,
one `response.done` for each `response.created`, deltas that add up to the text that is done.
"""

import json
from functools import cache
from typing import Annotated, Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import Field, TypeAdapter

from realtime.protocol.wire import MAX_SERVER_FRAME_BYTES

Event = dict[str, Any]
EXTENSIONS = ("omniweave.image.done",)
TEXTS = {
    "response.output_text": "text",
    "response.output_audio_transcript": "transcript",
    "response.function_call_arguments": "arguments",
}


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])


def validate(frame: str, extended: bool = False) -> Event:
    """One frame as an event, or an AssertionError or ValidationError that says what a client would trip over."""
    assert len(frame.encode()) <= MAX_SERVER_FRAME_BYTES
    event: Event = json.loads(frame)
    if extended and event["type"] in EXTENSIONS:
        return event
    _adapter().validate_json(frame, strict=True)
    _no_nulls(event, event["type"])
    return event


def _no_nulls(event: Event, kind: str) -> None:
    if kind.startswith("response.content_part."):
        assert None not in event["part"].values()
    if kind == "conversation.item.input_audio_transcription.failed":
        assert None not in event["error"].values()
    if kind in ("session.created", "session.updated") and event["session"]["type"] == "realtime":
        audio = event["session"]["audio"]
        assert isinstance(audio["output"]["voice"], str)
        detection = audio["input"]["turn_detection"]
        assert detection is None or isinstance(detection["interrupt_response"], bool)
    if "item" in event:
        _check_item(event["item"])
    if "response" in event:
        response = event["response"]
        assert isinstance(response["audio"]["output"]["voice"], str)
        for item in response["output"]:
            _check_item(item)
        if response["usage"] is not None:
            _integers(response["usage"])


def _check_item(item: Event) -> None:
    assert item["id"]
    assert item["status"] in ("in_progress", "completed", "incomplete")
    if item["type"] == "message":
        for part in item["content"]:
            assert part["type"] != "input_audio" or "transcript" in part
            assert "audio" not in part
            assert not part["type"].endswith("text") or isinstance(part["text"], str)


def _integers(value: Event) -> None:
    for field in value.values():
        if isinstance(field, dict):
            _integers(field)
        else:
            assert type(field) is int


class StrictClient:
    """Receives every frame of one session, in order, and keeps what a client would."""

    def __init__(self, extended: bool = False, server_forgets: bool = False) -> None:
        self.extended = extended
        self.server_forgets = server_forgets  # and may have lost what stands between two items
        self.events: list[Event] = []
        self.items: list[str] = []  # in the order of the conversation, as placed by their predecessors
        self._event_ids: set[str] = set()
        self._open: dict[str, Event] = {}  # responses created and not done
        self._finished: set[str] = set()
        self._output_items: dict[str, set[str]] = {}
        self._texts: dict[tuple[str, str, int], str] = {}

    def receive(self, frame: str) -> Event:
        event = validate(frame, self.extended)
        assert event["event_id"] not in self._event_ids
        self._event_ids.add(event["event_id"])
        if not self.events:
            assert event["type"] == "session.created"
        self.events.append(event)
        self._place_item(event)
        self._follow_response(event)
        self._add_up(event)
        return event

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]

    def last(self, kind: str) -> Event:
        return self.of(kind)[-1]

    @property
    def is_answering(self) -> bool:
        return bool(self._open)

    def _place_item(self, event: Event) -> None:
        kind = event["type"]
        if kind == "conversation.item.added":
            previous, item_id = event["previous_item_id"], event["item"]["id"]
            assert item_id not in self.items
            self.items.insert(0 if previous is None else self.items.index(previous) + 1, item_id)
        elif kind == "conversation.item.done":
            place = self.items.index(event["item"]["id"])
            assert event["previous_item_id"] == (self.items[place - 1] if place else None) or self.server_forgets
        elif kind == "conversation.item.deleted":
            self.items.remove(event["item_id"])
        elif kind == "input_audio_buffer.committed":
            assert event["previous_item_id"] == (self.items[-1] if self.items else None)

    def _follow_response(self, event: Event) -> None:
        kind = event["type"]
        if kind == "response.created":
            response = event["response"]
            assert response["status"] == "in_progress"
            assert response["output"] == []
            in_band = [open_one for open_one in self._open.values() if open_one["conversation_id"]]
            assert not in_band or response["conversation_id"] is None
            self._open[response["id"]] = response
            self._output_items[response["id"]] = set()
            return
        if not kind.startswith(("response.", "omniweave.")):
            return
        response_id = event["response"]["id"] if kind == "response.done" else event["response_id"]
        assert response_id in self._open, f"{kind} outside of its response"
        items = self._output_items[response_id]
        if kind == "response.output_item.added":
            assert event["item"]["status"] == "in_progress"
            assert event["output_index"] == len(items)
            items.add(event["item"]["id"])
        elif kind == "response.done":
            self._end_response(event["response"])
        elif "item_id" in event:
            assert event["item_id"] in items

    def _end_response(self, response: Event) -> None:
        created = self._open.pop(response["id"])
        for unchanging in ("metadata", "conversation_id", "output_modalities", "max_output_tokens"):
            assert response[unchanging] == created[unchanging]
        status = response["status"]
        assert status != "in_progress"
        assert (response["status_details"] is None) == (status == "completed")
        if response["status_details"] is not None:
            assert response["status_details"]["type"] == status
        done = [e["item"] for e in self.of("response.output_item.done") if e["response_id"] == response["id"]]
        assert response["output"] == done

    def _add_up(self, event: Event) -> None:
        name, _, stage = event["type"].rpartition(".")
        if name not in TEXTS:
            return
        key = (name, event["item_id"], event.get("content_index", 0))
        if stage == "delta":
            assert event["delta"]
            self._texts[key] = self._texts.get(key, "") + event["delta"]
        else:
            assert event[TEXTS[name]] == self._texts.get(key, "")
