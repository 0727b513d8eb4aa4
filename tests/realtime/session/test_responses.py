"""One response: what the engine made, tick by tick → events in their one right order."""

import base64
import random
from dataclasses import replace
from typing import Any

import numpy as np

from realtime.protocol import server_events as ev
from realtime.protocol.client_events import ResponseOptions
from realtime.protocol.ids import Ids
from realtime.protocol.items import FunctionCallItem, MessageItem, OutputAudio, OutputText
from realtime.protocol.server_events import ServerEvent
from realtime.protocol.session_config import PCMU, Extensions, SessionConfig
from realtime.protocol.session_merge import merged
from realtime.protocol.session_patch import parse_patch
from realtime.session.conversation import Conversation
from realtime.session.limits import SessionLimits
from realtime.session.outbox import Outbox
from realtime.session.response_plan import plan_response
from realtime.session.responses import Response
from streams.types import TickOutput, ToolCallDelta
from tests.realtime.stage import TURN_TAKER, loud
from tests.realtime.strict import validate

LIMITS = SessionLimits()
SPEECH = ["response.output_item.added", "conversation.item.added", "response.content_part.added"]


class Heard:
    """A response and a client that validates its events."""

    def __init__(self, session: dict[str, Any] | None = None, in_band: bool = True, **options: Any) -> None:
        config = SessionConfig(id="sess_1", model="m", expires_at=0)
        config = merged(config, parse_patch(session or {}, "session"), TURN_TAKER)
        self.ids = Ids(random.Random(1))
        self.conversation = Conversation(LIMITS)
        plan = plan_response(
            "resp_1", "conv_1" if in_band else None, config, ResponseOptions(**options), TURN_TAKER, LIMITS
        )
        self.extended = isinstance(config.omniweave, Extensions)
        self.response = Response(plan, self.conversation if in_band else None, self.ids, max_chars=100)
        self._outbox = Outbox(self.ids, 1_000, 10_000_000)
        self.events: list[ServerEvent] = []
        self._see(self.response.start())

    def _see(self, events: list[ServerEvent]) -> list[str]:
        self.events += events
        for event in events:
            outgoing = self._outbox.push(event)
            assert outgoing is not None
            validate(outgoing.frame, self.extended)
        return [str(event.__struct_config__.tag) for event in events]

    def push(self, text: str = "", **fields: Any) -> list[str]:
        return self._see(self.response.push(TickOutput("s", 3, done=True, response="resp_1", text=text, **fields)))

    def finish(self, status: Any = "completed", **fields: Any) -> list[str]:
        return self._see(self.response.finish(status, None, **fields))

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def done(self) -> Any:
        return self.of(ev.ResponseDone)[-1].response


def test_speech_and_its_transcript() -> None:
    heard = Heard()
    assert heard.push("Hello", pcm=loud(250)) == [
        *SPEECH,
        "response.output_audio.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
    ]
    assert heard.finish() == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    (item,) = heard.done.output
    assert item.content == (OutputAudio(transcript="Hello"),)
    assert heard.conversation.retrieve(item.id) == item


def test_sound_is_sent_whole() -> None:
    heard = Heard()
    heard.push(pcm=loud(250))
    heard.finish()
    data = b"".join(base64.b64decode(event.delta) for event in heard.of(ev.ResponseOutputAudioDelta))
    np.testing.assert_array_equal(np.frombuffer(data, "<i2"), np.full(6_000, 16_384))


def test_telephone_sound_ends_with_what_the_filter_held() -> None:
    heard = Heard(audio_format=PCMU)
    for _ in range(4):
        heard.push(pcm=loud(250))
    assert heard.finish()[0] == "response.output_audio.delta"
    data = b"".join(base64.b64decode(event.delta) for event in heard.of(ev.ResponseOutputAudioDelta))
    assert len(data) == 8_000


def test_text_alone() -> None:
    heard = Heard(output_modalities=("text",))
    assert heard.push("Hel", pcm=loud(250)) == [*SPEECH, "response.output_text.delta"]
    assert heard.push("lo") == ["response.output_text.delta"]
    assert heard.finish()[:2] == ["response.output_text.done", "response.content_part.done"]
    assert heard.done.output[0].content == (OutputText(text="Hello"),)
    assert heard.done.output_modalities == ("text",)


def test_a_response_that_says_nothing_has_no_items() -> None:
    heard = Heard()
    assert heard.push() == []
    assert heard.finish() == ["response.done"]
    assert heard.done.output == ()


def test_a_call_after_words() -> None:
    heard = Heard(output_modalities=("text",))
    heard.push("Let me see.", tool_calls=(ToolCallDelta(0, "look", '{"a'),))
    heard.push(tool_calls=(ToolCallDelta(0, None, '": 1}'),))
    assert heard.finish() == [
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    words, call = heard.done.output
    assert isinstance(words, MessageItem)
    assert isinstance(call, FunctionCallItem)
    assert (call.name, call.arguments, call.status) == ("look", '{"a": 1}', "completed")
    assert call.call_id.startswith("call_")
    added = [event.item for event in heard.of(ev.ResponseOutputItemAdded)]
    assert [item.status for item in added] == ["in_progress", "in_progress"]
    assert added[1].arguments == ""
    assert [event.output_index for event in heard.of(ev.ResponseOutputItemDone)] == [0, 1]
    assert heard.of(ev.ResponseFunctionCallArgumentsDone)[0].name == "look"


def test_two_calls_are_two_items() -> None:
    heard = Heard()
    heard.push(tool_calls=(ToolCallDelta(0, "a", "{}"), ToolCallDelta(1, "b", ""), ToolCallDelta(1, None, "{}")))
    heard.finish()
    assert [(item.name, item.arguments) for item in heard.done.output] == [("a", "{}"), ("b", "{}")]


def test_a_call_that_is_cut_off_is_withdrawn() -> None:
    heard = Heard()
    heard.push(tool_calls=(ToolCallDelta(0, "look", '{"a'),))
    assert heard.finish("cancelled", reason="client_cancelled") == ["conversation.item.deleted", "response.done"]
    assert heard.done.output == ()
    assert len(heard.conversation) == 0


def test_an_answer_that_is_cut_off_keeps_what_was_said() -> None:
    heard = Heard()
    heard.push("Hel", pcm=loud(250))
    heard.finish("cancelled", reason="turn_detected")
    assert heard.done.status == "cancelled"
    assert (heard.done.status_details.type, heard.done.status_details.reason) == ("cancelled", "turn_detected")
    assert heard.done.output[0].status == "incomplete"
    assert heard.done.output[0].content == (OutputAudio(transcript="Hel"),)


def test_nothing_follows_the_end() -> None:
    heard = Heard()
    heard.finish()
    assert heard.push("late") == []
    assert heard.finish("failed") == []


def test_out_of_band_nothing_joins_the_conversation() -> None:
    heard = Heard(in_band=False)
    heard.push("Hello", tool_calls=(ToolCallDelta(0, "f", "{}"),))
    heard.finish()
    assert not [event for event in heard.events if "conversation" in str(event.__struct_config__.tag)]
    assert heard.done.conversation_id is None
    assert len(heard.done.output) == 2


def test_a_response_knows_when_it_is_full() -> None:
    heard = Heard()
    heard.push("x" * 99)
    assert not heard.response.is_full
    heard.push("x")
    assert heard.response.is_full


# --- extensions -----------------------------------------------------------------------------------------------------

EXTENDED = {"omniweave": {"outputs": ["text", "audio", "image"], "ticks": True}}


def test_text_and_sound_at_once_are_two_parts_of_one_item() -> None:
    heard = Heard(EXTENDED)
    heard.push("Hel", pcm=loud(250))
    heard.push("lo", pcm=loud(250))
    heard.finish()
    assert heard.done.output[0].content == (OutputAudio(transcript=""), OutputText(text="Hello"))
    assert {event.content_index for event in heard.of(ev.ResponseOutputTextDelta)} == {1}
    assert {event.content_index for event in heard.of(ev.ResponseOutputAudioDelta)} == {0}


def test_deltas_carry_ticks_only_where_asked() -> None:
    with_ticks, without = Heard(EXTENDED), Heard()
    for heard in (with_ticks, without):
        heard.push("Hello", pcm=loud(250))
    assert {event.tick for event in with_ticks.of(ev.ResponseOutputAudioDelta)} == {3}
    assert not [event for event in without.of(ev.ResponseOutputAudioDelta) if isinstance(event.tick, int)]


def test_pictures_are_sent_only_where_asked() -> None:
    picture = np.zeros((8, 6, 3), np.uint8)
    with_pictures, without = Heard(EXTENDED), Heard()
    assert with_pictures.push(image=picture) == ["omniweave.image.done"]
    assert without.push(image=picture) == []
    (event,) = with_pictures.of(ev.OmniweaveImageDone)
    assert (event.width, event.height, event.image_index, event.tick) == (6, 8, 0, 3)
    assert event.image_url.startswith("data:image/png;base64,")


def test_a_message_deleted_while_it_is_written_stays_deleted() -> None:
    heard = Heard()
    heard.push("Hello")
    assert heard.conversation.last_id is not None
    heard.conversation.delete(heard.conversation.last_id)
    assert "conversation.item.done" not in heard.finish()
    assert len(heard.done.output) == 1


def test_the_same_plan_makes_the_same_ids() -> None:
    first, second = Heard(), Heard()
    for heard in (first, second):
        heard.push("Hello")
        heard.finish()
    assert first.done.output == second.done.output
    assert replace(first.response.plan) == second.response.plan
