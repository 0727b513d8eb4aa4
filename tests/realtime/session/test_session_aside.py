"""Out-of-band responses, extensions, and models that pace themselves."""

import base64
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from realtime.echo import EchoEngine
from realtime.scheduler import Demand
from realtime.session.limits import SessionLimits
from realtime.session.session import CloseKind
from streams.types import Finish, Rewrite, Samples, TickFailure, TickOutput
from streams.video import encode_png
from tests.realtime.stage import READER, TURN_TAKER, Beat, RealEngine, Stage, loud, quiet, types

OUT_OF_BAND = {"conversation": "none", "output_modalities": ["text"], "metadata": {"topic": "x"}}


def said(*texts: str) -> Sequence[Beat]:
    return [*(Beat(text) for text in texts[:-1]), Beat(texts[-1], finish=Finish.STOP)]


# --- out of band ----------------------------------------------------------------------------------------------------


def test_an_out_of_band_response_touches_no_item() -> None:
    stage = Stage(READER)
    stage.type_text("hi")
    stage.side_scripts.append(said("Off", " topic."))
    entries = [{"role": "user", "content": "classify"}]
    events = stage.send("response.create", response={**OUT_OF_BAND, "input": entries, "instructions": "Classify."})
    events += stage.run()
    assert types(events) == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    response = events[-1]["response"]
    assert (response["conversation_id"], response["metadata"]) == (None, {"topic": "x"})
    assert response["output"][0]["content"][0]["text"] == "Off topic."
    assert stage.sides == {}


def test_its_context_is_its_input_or_else_the_conversation() -> None:
    stage = Stage(READER, {"instructions": "Be brief."})
    stage.type_text("hi")
    stage.side_scripts.append(said("x"))
    stage.send("response.create", response=OUT_OF_BAND)
    ((_, model),) = stage.sides.values()
    stage.run()
    rewrite = model.of(Rewrite)[0]
    assert [message.text for message in rewrite.prefix + rewrite.history] == ["Be brief.", "hi"]


def test_it_runs_beside_another_response() -> None:
    stage = Stage(READER)
    stage.model.will_say("a", "b", "c")
    stage.side_scripts.append(said("x", "y"))
    stage.send("response.create")
    stage.send("response.create", response=OUT_OF_BAND)
    stage.run()
    assert len(stage.client.of("response.done")) == 2
    assert {event["response"]["status"] for event in stage.client.of("response.done")} == {"completed"}


def test_it_is_refused_by_id_where_no_slot_is_free() -> None:
    stage = Stage(READER, max_sides=0)
    (event,) = stage.send("response.create", event_id="r", response=OUT_OF_BAND)
    assert (event["error"]["code"], event["error"]["event_id"]) == ("no_capacity", "r")
    assert "all slots are taken" in event["error"]["message"]


def test_one_session_may_run_only_so_many() -> None:
    stage = Stage(READER, limits=SessionLimits(max_side_responses=1), max_sides=5)
    stage.side_scripts.append(said("x"))
    stage.send("response.create", response=OUT_OF_BAND)
    (event,) = stage.send("response.create", response=OUT_OF_BAND)
    assert event["error"]["code"] == "no_capacity"


def test_it_can_be_cancelled_by_its_id() -> None:
    stage = Stage(READER)
    stage.side_scripts.append(said("x", "y"))
    (created,) = stage.send("response.create", response=OUT_OF_BAND)
    events = stage.send("response.cancel", response_id=created["response"]["id"])
    assert types(events) == ["response.done"]
    assert events[0]["response"]["status"] == "cancelled"
    assert stage.sides == {}


def test_a_slot_that_is_not_to_be_had_after_all_fails_the_response_only() -> None:
    stage = Stage(READER)
    stage.send("response.create", response=OUT_OF_BAND)
    ((side, _),) = stage.sides.values()
    side.fail(TickFailure(side.name, 0, "all slots are taken"))
    (event,) = stage.read()
    assert event["response"]["status_details"]["error"]["message"] == "all slots are taken"
    assert stage.session.closing is None


def test_a_session_that_ends_gives_its_slots_back() -> None:
    stage = Stage(READER)
    stage.send("response.create", response=OUT_OF_BAND)
    stage.session.close(CloseKind.CLIENT_LEFT, "gone")
    assert stage.sides == {}
    assert stage.session.demand() is Demand.IDLE


# --- extensions -----------------------------------------------------------------------------------------------------


def test_an_extended_client_gets_everything_at_once() -> None:
    outputs = {"outputs": ["text", "audio", "image"], "ticks": True}
    stage = Stage(patch={"omniweave": outputs}, extended=True)
    stage.type_text("Draw and talk.")
    picture = np.zeros((4, 4, 3), np.uint8)
    stage.model.will_say(Beat("Here", pcm=loud(250)), Beat(" it is.", image=picture))
    stage.send("response.create")
    stage.run()
    assert stage.client.events[0]["session"]["omniweave"] == {**outputs, "video": False}
    assert [event["tick"] for event in stage.client.of("response.output_text.delta")] == [0, 1]
    assert stage.client.last("omniweave.image.done")["image_url"].startswith("data:image/png;base64,")
    kinds = [part["type"] for part in stage.client.last("response.done")["response"]["output"][0]["content"]]
    assert sorted(kinds) == ["output_audio", "output_text"]


def test_a_plain_client_never_sees_an_extension() -> None:
    stage = Stage()
    stage.type_text("Draw and talk.")
    stage.model.will_say(Beat("Here", pcm=loud(250)), Beat(image=np.zeros((4, 4, 3), np.uint8)))
    stage.send("response.create")
    stage.run()
    assert not [event for event in stage.client.events if "omniweave" in str(event) or "tick" in event]


def test_camera_pictures_need_their_switch() -> None:
    image = base64.b64encode(encode_png(np.full((4, 4, 3), 9, np.uint8))).decode()
    stage = Stage()
    (event,) = stage.send("omniweave.video.append", image=image)
    assert event["error"]["code"] == "extension_not_enabled"
    stage.send("session.update", session={"omniweave": {"video": True}})
    assert stage.send("omniweave.video.append", image=image) == []
    assert stage.session.demand() is Demand.LIVE
    stage.tick()
    (frame,) = stage.model.windows[-1].frames
    np.testing.assert_array_equal(frame.rgb, np.full((4, 4, 3), 9))
    (event,) = stage.send("omniweave.video.append", image="AAAA")
    assert event["error"]["code"] == "invalid_image"


def test_a_response_is_rated_without_a_reply() -> None:
    stage = Stage()
    assert stage.send("omniweave.response.rate", response_id="resp_1", rating="up") == []
    (event,) = stage.send("omniweave.response.rate", response_id="resp_1", rating="great")
    assert event["type"] == "error"


# --- self-paced models ----------------------------------------------------------------------------------------------


def echoing(patch: dict[str, Any] | None = None) -> Stage:
    """A session on the engine that says back what it hears."""
    engine = EchoEngine()
    engine.open("sess_test", 0)
    stage = Stage(engine.info, patch)
    stage.model = RealEngine(engine)  # type: ignore[assignment]
    return stage


def sound_of(stage: Stage) -> np.ndarray:
    deltas = stage.client.of("response.output_audio.delta")
    return np.frombuffer(b"".join(base64.b64decode(event["delta"]) for event in deltas), "<i2") / 32768


def test_a_voice_comes_back_unasked() -> None:
    stage = echoing({"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}})
    stage.speak(quiet(250), loud(500), quiet(1_500))
    stage.run()
    assert "response.created" in stage.client.types
    assert stage.client.last("response.done")["response"]["status"] == "completed"
    heard = sound_of(stage)
    assert len(heard[heard > 0.4]) == 12_000
    assert len(stage.client.of("input_audio_buffer.committed")) == 1


def test_speech_interrupts_what_was_said_unasked() -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 32}
    stage = echoing({"audio": {"input": {"turn_detection": detection}}})
    stage.speak(loud(1_000), quiet(100), loud(200))
    (done,) = stage.client.of("response.done")
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    stage.speak(quiet(2_000))
    assert not stage.client.is_answering


def test_what_was_interrupted_is_not_heard_again() -> None:
    """Outputs that were under way when the client cancelled say nothing new; the next words do."""
    stage = Stage(replace(TURN_TAKER, self_paced=True))
    say(stage, 0, pcm=loud(250))
    stage.send("response.cancel")
    assert types(say(stage, 1, pcm=loud(250))) == []
    assert types(say(stage, 2)) == []
    assert types(say(stage, 3, pcm=loud(250)))[0] == "response.created"


def test_a_pause_ends_what_was_said_unasked() -> None:
    stage = Stage(replace(TURN_TAKER, self_paced=True))
    say(stage, 0, pcm=loud(250))
    assert types(say(stage, 1)) == []
    assert types(say(stage, 2))[-1] == "response.done"
    assert stage.client.last("response.done")["response"]["status"] == "completed"


def test_sound_that_nobody_wants_begins_no_response() -> None:
    stage = Stage(replace(TURN_TAKER, self_paced=True), {"output_modalities": ["text"]})
    assert say(stage, 0, pcm=loud(250)) == []


def say(stage: Stage, tick: int, pcm: Samples | None = None) -> list[dict[str, Any]]:
    """One tick of a model that speaks by itself."""
    if pcm is not None:
        stage.session.deliver(TickOutput("sess_test", tick, done=False, pcm=pcm))
    stage.session.deliver(TickOutput("sess_test", tick, done=True))
    return stage.read()


def test_a_typed_question_to_a_self_paced_model_is_answered_when_asked() -> None:
    stage = echoing({"output_modalities": ["text"]})
    stage.type_text("good morning")
    stage.send("response.create")
    stage.run()
    content = stage.client.last("response.done")["response"]["output"][0]["content"]
    assert content == [{"type": "output_text", "text": "You said: good morning"}]


def test_push_to_talk_holds_a_self_paced_model_back() -> None:
    stage = echoing({"audio": {"input": {"turn_detection": None}}})
    stage.append(loud(500))
    stage.send("input_audio_buffer.commit")
    stage.run()
    assert "response.created" not in stage.client.types
    stage.send("response.create")
    stage.run()
    assert len(sound_of(stage)) == 12_000


def test_an_echo_calls_a_forced_function() -> None:
    stage = echoing({"tools": [{"type": "function", "name": "look"}], "tool_choice": "required"})
    stage.type_text("go")
    stage.send("response.create")
    stage.run()
    (call,) = stage.client.last("response.done")["response"]["output"]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "look", "{}")


def test_two_sessions_with_the_same_seed_say_the_same_frames() -> None:
    def frames() -> deque[str]:
        stage = Stage(TURN_TAKER)
        stage.type_text("hi")
        stage.model.will_say(Beat("Hello", pcm=loud(250)))
        stage.send("response.create")
        stage.run()
        return deque(str(event) for event in stage.client.events)

    assert frames() == frames()
