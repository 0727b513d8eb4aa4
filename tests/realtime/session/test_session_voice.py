"""Spoken turns: detection, barge-in, truncation, push-to-talk, and models that cannot hear."""

import base64

import numpy as np
import pytest

from realtime.scheduler import Demand
from streams.types import SAMPLES_PER_TICK, AudioChunk, Hold, Respond, Rewrite
from tests.realtime.stage import READER, TURN_TAKER, Beat, Stage, loud, quiet, types

TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
MANUAL = {"audio": {"input": {"turn_detection": None}}}


def spoken(text: str) -> Beat:
    return Beat(text, pcm=loud(250))


# --- a voice turn ---------------------------------------------------------------------------------------------------


def test_a_spoken_turn_is_answered_in_the_order_that_clients_expect() -> None:
    stage = Stage()
    stage.model.will_say(spoken("Hello"), spoken(" there."))
    events = stage.speak(quiet(300), loud(800), quiet(1_500)) + stage.run()
    assert types(events) == [
        *TURN,
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert len({event["item_id"] for event in events[:3]} | {events[3]["item"]["id"]}) == 1
    assert events[3]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert (events[0]["audio_start_ms"], events[1]["audio_end_ms"]) == (0, 1_632)


def test_the_model_has_heard_the_turn_before_it_is_asked() -> None:
    stage = Stage()
    stage.model.will_say(spoken("Yes."))
    stage.append(np.concatenate((loud(1_000), quiet(700))))
    assert stage.session.demand() is Demand.FREE
    stage.run()
    windows = stage.model.windows
    asked = next(i for i, window in enumerate(windows) if any(isinstance(c, Respond) for c in window.commands))
    assert [window.audio is not None for window in windows[: asked + 1]] == [True] * 7  # 1,536 ms end in the seventh


def test_the_turn_is_not_told_twice() -> None:
    stage = Stage()
    stage.model.will_say(spoken("Yes."))
    stage.speak(loud(500), quiet(800))
    stage.run()
    assert [rewrite.history for rewrite in stage.model.of(Rewrite)] == [()]


def test_the_turns_sound_is_told_again_when_the_past_changes() -> None:
    stage = Stage()
    stage.model.will_say(spoken("Yes."))
    stage.speak(loud(500), quiet(800))
    stage.run()
    stage.send("conversation.item.delete", item_id=stage.client.items[1])
    stage.model.will_say(spoken("No."))
    stage.send("response.create")
    stage.run()
    (message,) = stage.model.of(Rewrite)[-1].history
    (sound,) = message.parts
    assert isinstance(sound, AudioChunk)
    assert sound.duration_us > 900_000


def test_without_create_response_the_client_asks() -> None:
    stage = Stage(patch={"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}})
    assert types(stage.speak(loud(500), quiet(1_000)) + stage.run()) == TURN


def test_transcripts_that_cannot_be_had_are_refused_per_item() -> None:
    stage = Stage(patch={"audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}})
    stage.model.will_say(spoken("Yes."))
    events = stage.speak(loud(500), quiet(1_000))
    failed = next(event for event in events if event["type"].endswith("transcription.failed"))
    assert failed["item_id"] == events[2]["item_id"]
    assert failed["error"]["code"] == "transcription_unavailable"


# --- barge-in -------------------------------------------------------------------------------------------------------


def long_answer(stage: Stage) -> None:
    stage.model.will_say(
        *[spoken(f"{word} ") for word in ["one", "two", "three", "four", "five", "six", "seven", "eight"]]
    )


def test_speech_interrupts_the_answer() -> None:
    stage = Stage()
    long_answer(stage)
    stage.speak(loud(500), quiet(1_500))
    assert stage.client.is_answering
    events = stage.speak(loud(300))
    started = types(events).index("input_audio_buffer.speech_started")
    assert types(events)[started:] == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    response = stage.client.last("response.done")["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert response["output"][0]["status"] == "incomplete"
    stage.tick()
    assert stage.model.of(Hold)


def test_the_client_truncates_what_it_did_not_play_and_looks_again() -> None:
    stage = Stage()
    long_answer(stage)
    stage.speak(loud(500), quiet(1_500))
    stage.speak(loud(300))
    item_id = stage.client.last("response.done")["response"]["output"][0]["id"]
    (event,) = stage.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=400)
    assert (event["type"], event["audio_end_ms"]) == ("conversation.item.truncated", 400)
    (event,) = stage.send("conversation.item.retrieve", item_id=item_id)
    assert event["item"]["content"] == [{"type": "output_audio", "transcript": "one two "}]
    stage.model.will_say(spoken("Yes?"))
    stage.speak(quiet(1_000))
    stage.run()
    assert stage.model.of(Rewrite)[-1].history[1].text == "one two "


def test_one_millisecond_too_much_is_forgiven() -> None:
    stage = Stage()
    stage.model.will_say(spoken("Hello."))
    stage.type_text("hi")
    stage.send("response.create")
    stage.run()
    item_id = stage.client.items[-1]
    (event,) = stage.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=251)
    assert event["audio_end_ms"] == 250
    stage.run()
    assert len(stage.model.of(Rewrite)) == 1


def test_an_answer_that_may_not_be_interrupted_goes_on_and_the_turn_is_answered_after() -> None:
    stage = Stage(patch={"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}})
    stage.model.will_say(*[spoken(f"{number} ") for number in range(12)])
    stage.model.will_say(spoken("Now you."))
    stage.speak(loud(500), quiet(800))
    stage.speak(loud(500), quiet(800))
    assert len(stage.client.of("input_audio_buffer.committed")) == 2
    assert len(stage.client.of("response.created")) == 1
    stage.run()
    statuses = [event["response"]["status"] for event in stage.client.of("response.done")]
    assert statuses == ["completed", "completed"]


# --- push to talk ---------------------------------------------------------------------------------------------------


def test_push_to_talk() -> None:
    stage = Stage(patch=MANUAL)
    stage.model.will_say(spoken("Yes."))
    assert stage.append(loud(900)) == []
    assert types(stage.send("input_audio_buffer.commit")) == TURN[2:]
    events = stage.send("response.create") + stage.run()
    assert types(events)[0] == "response.created"
    assert types(events)[-1] == "response.done"
    assert len(stage.model.windows) == 4


def test_a_commit_of_nothing_is_an_error_that_clients_know() -> None:
    stage = Stage(patch=MANUAL)
    (event,) = stage.send("input_audio_buffer.commit", event_id="c")
    assert (event["error"]["code"], event["error"]["event_id"]) == ("input_audio_buffer_commit_empty", "c")


def test_a_cleared_buffer_is_empty() -> None:
    stage = Stage(patch=MANUAL)
    stage.append(loud(900))
    assert types(stage.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert types(stage.send("input_audio_buffer.commit")) == ["error"]


def test_switching_detection_off_leaves_the_speech_to_be_committed() -> None:
    stage = Stage()
    stage.speak(loud(500))
    stage.send("session.update", session=MANUAL)
    stage.speak(quiet(1_000))
    assert types(stage.send("input_audio_buffer.commit")) == TURN[2:]


# --- the microphone and the clock -----------------------------------------------------------------------------------


def test_an_open_microphone_is_live_until_it_falls_silent_for_a_second() -> None:
    stage = Stage()
    assert stage.session.demand() is Demand.IDLE
    stage.append(quiet(250))
    assert stage.session.demand() is Demand.LIVE
    stage.tick()
    stage.now_us += 900_000
    assert stage.session.demand() is Demand.LIVE
    stage.tick()
    assert stage.model.windows[-1].gap_samples == SAMPLES_PER_TICK
    stage.now_us += 200_000
    assert stage.session.demand() is Demand.IDLE
    stage.type_text("hi")
    stage.tick()
    assert stage.model.windows[-1].audio is None


def test_sound_that_piles_up_is_caught_up_with() -> None:
    stage = Stage()
    stage.append(quiet(2_000))
    assert stage.session.demand() is Demand.FREE
    while stage.session.demand() is Demand.FREE:
        stage.tick()
    assert len(stage.model.windows) == 6
    assert stage.session.demand() is Demand.LIVE


def test_a_file_sent_at_once_is_heard_to_its_end() -> None:
    stage = Stage()
    stage.model.will_say(spoken("Yes."))
    stage.append(np.concatenate((quiet(4_000), loud(2_000), quiet(1_000))))
    events = stage.run()
    assert types(events)[-1] == "response.done"
    assert sum(window.audio is not None for window in stage.model.windows) >= 28


def test_silence_for_long_asks_the_model_to_speak() -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 5_000}
    stage = Stage(patch={"audio": {"input": {"turn_detection": detection}}})
    stage.model.will_say(spoken("Hello."))
    stage.model.will_say(spoken("Still there?"))
    stage.speak(loud(500), quiet(1_000))
    events = stage.speak(quiet(6_500))
    triggered = types(events).index("input_audio_buffer.timeout_triggered")
    assert types(events)[triggered + 1 : triggered + 5] == [*TURN[2:], "response.created"]
    event = events[triggered]
    assert 4_900 <= event["audio_end_ms"] - event["audio_start_ms"] <= 5_100


# --- formats --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_telephone_sound_both_ways(name: str) -> None:
    side = {"format": {"type": name}}
    stage = Stage(patch={"audio": {"input": {**side, "turn_detection": None}, "output": side}})
    stage.model.will_say(spoken("Yes."), spoken(" sir."))
    stage.send("input_audio_buffer.append", audio=base64.b64encode(bytes(range(256)) * 20).decode())
    stage.send("input_audio_buffer.commit")
    stage.send("response.create")
    stage.run()
    deltas = stage.client.of("response.output_audio.delta")
    assert sum(len(base64.b64decode(event["delta"])) for event in deltas) == 4_000
    assert stage.client.events[0]["session"]["audio"]["output"]["format"] == {"type": name}


# --- models that cannot hear ----------------------------------------------------------------------------------------


def test_a_deaf_model_fails_a_spoken_turn_plainly() -> None:
    stage = Stage(READER, {"audio": {"input": {"transcription": {"model": "any"}}}})
    events = stage.speak(loud(500), quiet(1_000)) + stage.run()
    assert types(events) == [
        *TURN,
        "conversation.item.input_audio_transcription.failed",
        "response.created",
        "response.done",
    ]
    assert events[5]["error"]["code"] == "model_cannot_hear"
    details = events[-1]["response"]["status_details"]
    assert (details["type"], details["error"]["code"]) == ("failed", "model_cannot_hear")
    assert not stage.model.of(Respond)


def test_sound_still_reaches_a_deaf_model() -> None:
    stage = Stage(READER)
    stage.speak(loud(500))
    assert all(window.audio is not None for window in stage.model.windows)


def test_a_deaf_model_answers_what_was_typed_after_the_speech() -> None:
    stage = Stage(READER, MANUAL)
    stage.append(loud(500))
    stage.send("input_audio_buffer.commit")
    events = stage.send("response.create") + stage.run()
    assert types(events) == ["response.created", "response.done"]
    stage.model.will_say("Hello.")
    stage.type_text("hi")
    stage.send("response.create")
    stage.run()
    assert stage.client.last("response.done")["response"]["status"] == "completed"


def test_a_deaf_model_keeps_no_sound() -> None:
    stage = Stage(READER, MANUAL)
    stage.append(loud(500))
    stage.send("input_audio_buffer.commit")
    stage.model.will_say("Hello.")
    stage.type_text("hi")
    stage.send("response.create")
    stage.run()
    assert [message.text for message in stage.model.of(Rewrite)[0].history] == ["hi"]


def test_transcription_sessions_only_listen() -> None:
    stage = Stage(TURN_TAKER, {"type": "transcription", "audio": {"input": {"transcription": {"model": "any"}}}})
    events = stage.speak(loud(500), quiet(1_000)) + stage.run()
    assert types(events) == [*TURN, "conversation.item.input_audio_transcription.failed"]
