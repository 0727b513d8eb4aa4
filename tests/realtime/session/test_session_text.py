"""Typed turns, items and responses, as a whole client would see them."""

import base64
import json

import numpy as np
import pytest

from realtime.protocol.errors import ProtocolError
from realtime.scheduler import Demand
from realtime.session.limits import SessionLimits
from realtime.session.session import CloseKind
from streams.types import AudioChunk, Finish, Hold, Message, Respond, Rewrite, Role, ToolCallDelta, VideoFrame
from streams.video import encode_png
from tests.realtime.stage import READER, Beat, Stage, loud, types

ITEM = ["conversation.item.added", "conversation.item.done"]


def answer(stage: Stage, *beats: Beat | str) -> list[str]:
    stage.model.will_say(*beats)
    return types(stage.send("response.create") + stage.run())


def error_of(events: list[dict[str, object]]) -> dict[str, object]:
    (event,) = events
    assert event["type"] == "error"
    error = event["error"]
    assert isinstance(error, dict)
    return error


# --- a text turn ----------------------------------------------------------------------------------------------------


def test_a_typed_question_is_answered() -> None:
    stage = Stage(READER)
    assert types(stage.type_text("Who are you?")) == ITEM
    assert answer(stage, "I am", " a reader.") == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    response = stage.client.last("response.done")["response"]
    assert response["status"] == "completed"
    assert response["output"][0]["content"] == [{"type": "output_text", "text": "I am a reader."}]
    assert stage.session.demand() is Demand.IDLE


def test_the_model_is_told_the_question_then_asked() -> None:
    stage = Stage(READER, {"instructions": "Be brief."})
    stage.type_text("Who are you?")
    answer(stage, "Me.")
    stage.type_text("And I?")
    answer(stage, "You.")
    rewrite, first, question, second = stage.model.commands
    assert isinstance(rewrite, Rewrite)
    assert [message.text for message in rewrite.prefix + rewrite.history] == ["Be brief.", "Who are you?"]
    assert isinstance(first, Respond)
    assert isinstance(question, Message)
    assert question.text == "And I?"
    assert isinstance(second, Respond)


def test_the_cost_of_a_response_counts_the_past_as_cached() -> None:
    stage = Stage(READER)
    stage.type_text("one two three")
    answer(stage, "four five")
    stage.type_text("six")
    answer(stage, "seven")
    usage = stage.client.last("response.done")["response"]["usage"]
    assert (usage["input_tokens"], usage["input_token_details"]["cached_tokens"], usage["output_tokens"]) == (6, 5, 1)


def test_metadata_comes_back() -> None:
    stage = Stage(READER)
    stage.model.will_say("Hello.")
    events = stage.send("response.create", response={"metadata": {"client_event_id": "x1"}}) + stage.run()
    assert events[0]["response"]["metadata"] == events[-1]["response"]["metadata"] == {"client_event_id": "x1"}


def test_a_response_that_reached_its_limit_is_incomplete() -> None:
    stage = Stage(READER)
    assert answer(stage, "One", Beat(" two", finish=Finish.LENGTH))[-1] == "response.done"
    response = stage.client.last("response.done")["response"]
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}


def test_a_response_that_grows_without_end_is_stopped() -> None:
    stage = Stage(READER, limits=SessionLimits(max_response_chars=10))
    stage.model.will_say(*(["12345"] * 50))
    stage.send("response.create")
    stage.run()
    assert stage.client.last("response.done")["response"]["status"] == "incomplete"
    assert len(stage.model.of(Hold)) == 1
    assert len(stage.client.of("response.output_text.delta")) == 2


def test_a_second_request_while_one_is_answered_is_refused_by_id() -> None:
    stage = Stage(READER)
    stage.model.will_say("a", "b")
    stage.send("response.create")
    error = error_of(stage.send("response.create", event_id="second"))
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
    stage.run()
    assert len(stage.client.of("response.done")) == 1


def test_what_is_typed_during_an_answer_is_told_after_it() -> None:
    stage = Stage(READER)
    stage.model.will_say("a", "b", "c")
    stage.send("response.create")
    stage.tick()
    assert types(stage.type_text("wait")) == ITEM
    stage.tick()
    assert not stage.model.of(Message)
    stage.run()
    assert [message.text for message in stage.model.of(Message)] == ["wait"]


def test_the_scheduler_is_woken_when_there_is_something_to_do() -> None:
    stage = Stage(READER)
    assert (stage.session.demand(), stage.wakes) == (Demand.IDLE, 0)
    stage.type_text("hi")
    assert (stage.session.demand(), stage.wakes) == (Demand.FREE, 1)
    stage.type_text("there")
    assert stage.wakes == 1


# --- cancelling -----------------------------------------------------------------------------------------------------


def test_a_cancelled_response_ends_at_once_and_stays_ended() -> None:
    stage = Stage(READER)
    stage.type_text("Go on.")
    stage.model.will_say("One", " two", " three")
    stage.send("response.create")
    stage.tick()
    events = stage.send("response.cancel")
    assert types(events)[-2:] == ["response.output_item.done", "response.done"]
    assert events[-2]["item"]["status"] == "incomplete"
    response = events[-1]["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert response["output"][0]["content"][0]["text"] == "One"
    assert stage.run() == []
    assert stage.model.of(Hold)


def test_the_next_answer_may_follow_a_cancel_at_once() -> None:
    stage = Stage(READER)
    stage.model.will_say("One", " two")
    stage.send("response.create")
    stage.tick()
    stage.send("response.cancel")
    stage.type_text("Stop.")
    assert answer(stage, "Sorry.")[-1] == "response.done"
    assert stage.client.last("response.done")["response"]["status"] == "completed"
    assert [type(command).__name__ for command in stage.model.windows[1].commands] == ["Hold", "Message", "Respond"]


def test_a_cancel_before_the_model_was_asked_leaves_it_alone() -> None:
    stage = Stage(READER)
    stage.send("response.create")
    assert types(stage.send("response.cancel")) == ["response.done"]
    stage.run()
    assert not stage.model.of(Respond)
    assert not stage.model.of(Hold)


def test_a_late_cancel_is_answered_with_the_code_that_clients_ignore() -> None:
    stage = Stage(READER)
    error = error_of(stage.send("response.cancel", event_id="c1"))
    assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "c1")
    assert str(error["message"]).startswith("Cancellation failed")
    stage.send("response.create")
    assert error_of(stage.send("response.cancel", response_id="resp_other"))["code"] == "response_cancel_not_active"


# --- options of one response ----------------------------------------------------------------------------------------


def test_instructions_of_one_response_end_with_it() -> None:
    stage = Stage(READER, {"instructions": "Be brief."})
    stage.type_text("hi")
    stage.model.will_say("AHOY")
    stage.send("response.create", response={"instructions": "Shout."})
    stage.run()
    stage.type_text("again")
    answer(stage, "Hello.")
    first, second = stage.model.of(Rewrite)
    assert first.prefix[0].text == "Shout."
    assert second.prefix[0].text == "Be brief."
    assert [message.text for message in second.history] == ["hi", "AHOY", "again"]


def test_an_input_of_its_own_replaces_the_conversation_for_one_response() -> None:
    stage = Stage(READER)
    stage.type_text("hi", event_id="1")
    item_id = stage.client.items[0]
    entries = [{"type": "item_reference", "id": item_id}, {"role": "user", "content": "bye"}]
    stage.model.will_say("Bye.")
    stage.send("response.create", response={"input": entries})
    stage.run()
    assert [message.text for message in stage.model.of(Rewrite)[-1].history] == ["hi", "bye"]
    assert len(stage.client.items) == 2


def test_an_input_that_refers_to_nothing_is_refused() -> None:
    stage = Stage(READER)
    entries = [{"type": "item_reference", "id": "gone"}]
    assert error_of(stage.send("response.create", event_id="r", response={"input": entries}))["event_id"] == "r"


# --- configuration --------------------------------------------------------------------------------------------------


def test_an_update_is_answered_with_the_whole_session() -> None:
    stage = Stage()
    (event,) = stage.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
    session = event["session"]
    assert session["instructions"] == "Be brief."
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert session["audio"]["input"]["turn_detection"]["interrupt_response"] is True
    assert session["id"] == stage.session.name
    assert "omniweave" not in session


def test_new_instructions_reach_the_model_with_the_next_turn() -> None:
    stage = Stage(READER)
    stage.type_text("hi")
    answer(stage, "Hello.")
    for instructions in ("A", "B", "C"):
        stage.send("session.update", session={"instructions": instructions})
    assert stage.session.demand() is Demand.IDLE
    stage.type_text("again")
    answer(stage, "Hello again.")
    rewrites = stage.model.of(Rewrite)
    assert len(rewrites) == 2
    assert rewrites[-1].prefix[0].text == "C"


def test_a_session_that_grows_too_large_is_refused_and_unchanged() -> None:
    stage = Stage(limits=SessionLimits(max_config_bytes=2_000))
    error = error_of(stage.send("session.update", session={"instructions": "x" * 2_000}))
    assert error["code"] == "session_too_large"
    assert stage.session.config.instructions == ""


def test_a_mute_model_says_so_whatever_is_asked() -> None:
    stage = Stage(READER)
    (event,) = stage.send("session.update", session={"output_modalities": ["audio"]})
    assert event["session"]["output_modalities"] == ["text"]
    answer(stage, "Hello.")
    assert stage.client.last("response.done")["response"]["output_modalities"] == ["text"]
    assert not stage.model.of(Respond)[0].speak


def test_a_transcription_session_makes_no_responses() -> None:
    stage = Stage(patch={"type": "transcription"})
    session = stage.client.events[0]["session"]
    assert session["type"] == "transcription"
    assert "instructions" not in session
    assert "response" in str(error_of(stage.send("response.create"))["message"])


# --- items ----------------------------------------------------------------------------------------------------------


def test_an_item_keeps_the_clients_id() -> None:
    stage = Stage()
    item = {"id": "my_item", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    assert stage.send("conversation.item.create", item=item)[0]["item"]["id"] == "my_item"
    error = error_of(stage.send("conversation.item.create", item=item, event_id="again"))
    assert (error["code"], error["event_id"]) == ("item_create_duplicate_item_id", "again")


def test_a_history_is_replayed_by_its_order() -> None:
    """As livekit does after a reconnect: client ids, the first at the root, each after the one before."""
    stage = Stage(READER)
    previous = "root"
    for number, role in enumerate(["user", "assistant", "user"]):
        item = {"id": f"i{number}", "type": "message", "role": role}
        item["content"] = [{"type": "input_text", "text": f"{number}"}]  # type: ignore[assignment]
        stage.send("conversation.item.create", item=item, previous_item_id=previous)
        previous = f"i{number}"
    answer(stage, "3")
    assert stage.client.items[:3] == ["i0", "i1", "i2"]
    (rewrite,) = stage.model.of(Rewrite)
    assert [message.role for message in rewrite.history] == [Role.USER, Role.ASSISTANT, Role.USER]


def test_a_deleted_item_is_forgotten_by_the_model() -> None:
    stage = Stage(READER)
    stage.type_text("secret")
    answer(stage, "Yes.")
    assert types(stage.send("conversation.item.delete", item_id=stage.client.items[0])) == ["conversation.item.deleted"]
    answer(stage, "What?")
    assert [message.text for message in stage.model.of(Rewrite)[-1].history] == ["Yes."]


def test_items_can_be_retrieved() -> None:
    stage = Stage()
    stage.type_text("hi")
    (event,) = stage.send("conversation.item.retrieve", item_id=stage.client.items[0])
    assert event["item"]["content"] == [{"type": "input_text", "text": "hi"}]
    error = error_of(stage.send("conversation.item.retrieve", item_id="gone", event_id="r"))
    assert (error["code"], error["event_id"]) == ("item_retrieve_invalid_item_id", "r")


def test_a_picture_and_a_question_are_one_message() -> None:
    stage = Stage()
    picture = np.full((4, 4, 3), 200, np.uint8)
    url = "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode()
    content = [{"type": "input_text", "text": "What is this? "}, {"type": "input_image", "image_url": url}]
    (added, _) = stage.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    assert added["item"]["content"][1]["image_url"] == url
    answer(stage, "Grey.")
    (message,) = stage.model.of(Rewrite)[0].history
    assert message.parts[0] == "What is this? "
    assert isinstance(message.parts[1], VideoFrame)
    np.testing.assert_array_equal(message.parts[1].rgb, picture)


def test_sound_in_an_item_is_part_of_the_message() -> None:
    stage = Stage()
    audio = base64.b64encode((loud(100) * 32767).astype("<i2").tobytes()).decode()
    content = [{"type": "input_audio", "audio": audio}]
    (added, _) = stage.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    answer(stage, "Loud.")
    (part,) = stage.model.of(Rewrite)[0].history[0].parts
    assert isinstance(part, AudioChunk)
    assert len(part.pcm) == 2_400


@pytest.mark.parametrize("url", ["http://example.com/a.png", "data:image/png;base64,AAAA", "data:image/png;base64,A"])
def test_a_picture_that_is_none_is_refused_and_leaves_nothing(url: str) -> None:
    stage = Stage()
    content = [{"type": "input_image", "image_url": url}]
    events = stage.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    assert error_of(events)["code"] == "invalid_image"
    assert stage.client.items == []
    assert types(stage.type_text("still here")) == ITEM


# --- functions ------------------------------------------------------------------------------------------------------

LOOK = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}}


def test_a_function_call_round_trips() -> None:
    stage = Stage(READER, {"tools": [LOOK]})
    stage.type_text("What colour is the sky?")
    calls = (ToolCallDelta(0, "look", '{"at": '), ToolCallDelta(0, None, '"sky"}'))
    assert answer(stage, *[Beat(calls=(call,)) for call in calls]) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    call = stage.client.last("response.output_item.done")["item"]
    assert (call["name"], json.loads(call["arguments"]), call["status"]) == ("look", {"at": "sky"}, "completed")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "blue"}
    assert types(stage.send("conversation.item.create", item=output)) == ITEM
    answer(stage, "Blue.")
    (told,) = stage.model.of(Message)
    assert (told.role, told.text) == (Role.TOOL, "blue")
    rewrite, respond = stage.model.of(Rewrite)[0], stage.model.of(Respond)[0]
    assert [tool.name for tool in rewrite.tools] == [tool.name for tool in respond.tools] == ["look"]


def test_no_function_is_offered_where_none_may_be_called() -> None:
    stage = Stage(READER, {"tools": [LOOK], "tool_choice": "none"})
    answer(stage, "Hello.")
    assert stage.model.of(Rewrite)[0].tools == ()
    assert stage.model.of(Respond)[0].tools == ()


def test_a_forced_function_is_forced() -> None:
    stage = Stage(READER, {"tools": [LOOK], "tool_choice": {"type": "function", "name": "look"}})
    answer(stage, "x")
    assert stage.model.of(Respond)[0].tool == "look"


# --- endings --------------------------------------------------------------------------------------------------------


def test_an_engine_that_fails_ends_the_session_after_telling_the_client() -> None:
    stage = Stage(READER)
    stage.model.will_say("Hel", "lo")
    stage.send("response.create")
    stage.tick()
    events = stage.fail("not a number")
    assert types(events)[-2:] == ["response.done", "error"]
    assert events[-2]["response"]["status"] == "failed"
    assert events[-2]["response"]["status_details"]["error"]["code"] == "engine_failure"
    assert events[-1]["error"]["message"] == "not a number"
    assert stage.session.closing is not None
    assert stage.session.closing.kind is CloseKind.ENGINE_FAILED
    assert stage.type_text("hello?") == []
    assert stage.session.demand() is Demand.IDLE


def test_a_client_that_does_not_read_is_let_go() -> None:
    stage = Stage(limits=SessionLimits(max_outbox_events=10))
    frame = json.dumps({"type": "response.cancel"})
    for _ in range(20):
        stage.session.receive_frame(frame)
    assert stage.session.closing is not None
    assert stage.session.closing.kind is CloseKind.SLOW_CLIENT
    assert stage.read() == []


def test_bad_input_of_any_kind_leaves_the_session_alive() -> None:
    stage = Stage()
    for frame in ("", "{", "[]", '{"type": "x"}', b"\xff", '{"type": "session.update"}', "[" * 50_000):
        assert types(stage.send_raw(frame)) == ["error"]
    assert types(stage.type_text("still here")) == ITEM


def test_media_that_come_without_events_are_bounded_too() -> None:
    stage = Stage(limits=SessionLimits(max_buffered_audio_s=1.0))
    with pytest.raises(ProtocolError, match="exceed the limit"):
        stage.session.hear(AudioChunk(0, loud(1_500)))
