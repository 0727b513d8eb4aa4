"""A session's speech as a call plays it: started, stopped, cleared and truncated where the client would expect it."""

from typing import Any

import numpy as np

from realtime.transports.webrtc.playback import Playback
from streams.types import SAMPLES_PER_TICK, Samples
from tests.realtime.stage import Beat, Stage, loud, quiet, types
from tests.realtime.transports.sounds import rms

FRAME = 480
WORDS = np.full(SAMPLES_PER_TICK, 0.25, np.float32)


class PlayingStage(Stage):
    """A stage whose client hears through a call."""

    def __init__(self, **options: Any) -> None:
        self.playback: Playback | None = None
        super().__init__(**options)
        self.playback = Playback(self.session)

    def read(self) -> list[dict[str, Any]]:
        events = []
        while (outgoing := self.session.outbox.pop()) is not None:
            if self.playback is not None:
                self.playback.follow(outgoing.event)
            events.append(self.client.receive(outgoing.frame))
        return events

    def play(self, duration_ms: int) -> tuple[Samples, list[dict[str, Any]]]:
        assert self.playback is not None
        pcm = np.concatenate([self.playback.take(FRAME) for _ in range(duration_ms // 20)])
        return pcm, self.read()

    def ask(self, *beats: Beat, **options: Any) -> list[dict[str, Any]]:
        self.model.will_say(*beats)
        self.send("response.create", response=options)
        return self.run()


def two_ticks() -> tuple[Beat, Beat]:
    return Beat("One ", WORDS), Beat("two.", WORDS)


def test_sound_plays_and_its_response_starts_and_stops():
    stage = PlayingStage()
    answered = stage.ask(*two_ticks())
    assert "output_audio_buffer.started" not in types(answered), "nothing plays before it is taken"
    pcm, events = stage.play(540)
    assert types(events) == ["output_audio_buffer.started", "output_audio_buffer.stopped"]
    assert rms(pcm) > 0.2
    assert events[0]["response_id"] == stage.client.last("response.done")["response"]["id"]


def test_speech_cuts_a_response_that_was_generated_long_ago():
    stage = PlayingStage()
    stage.ask(*two_ticks())
    item_id = stage.client.last("response.output_item.done")["item"]["id"]
    stage.play(220)
    events = stage.speak(loud(200))
    assert types(events)[:3] == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]
    assert (events[2]["item_id"], events[2]["audio_end_ms"]) == (item_id, 200)
    assert not stage.play(500)[0].any()
    item = stage.send("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert item["content"][0]["transcript"] == "One ", "what was not heard was not said"


def test_speech_cuts_a_response_in_the_making():
    stage = PlayingStage()
    stage.model.will_say(*two_ticks(), *two_ticks())
    stage.send("response.create")
    stage.tick()
    stage.play(120)
    events = stage.speak(loud(200))
    kinds = types(events)
    assert kinds.index("input_audio_buffer.speech_started") < kinds.index("response.done")
    assert events[kinds.index("response.done")]["response"]["status"] == "cancelled"
    assert events[kinds.index("conversation.item.truncated")]["audio_end_ms"] == 100
    assert kinds.count("output_audio_buffer.cleared") == 1
    assert "output_audio_buffer.stopped" not in stage.client.types


def test_speech_cuts_nothing_where_interruption_is_off():
    detection = {"type": "server_vad", "interrupt_response": False, "create_response": False}
    stage = PlayingStage(patch={"audio": {"input": {"turn_detection": detection}}})
    stage.ask(*two_ticks())
    stage.play(120)
    assert "output_audio_buffer.cleared" not in types(stage.speak(loud(200), quiet(700)))
    assert "output_audio_buffer.stopped" in types(stage.play(500)[1])


def test_a_cut_by_the_client_truncates_too():
    stage = PlayingStage()
    stage.ask(*two_ticks())
    stage.play(120)
    assert stage.playback is not None
    stage.playback.clear()
    assert types(stage.read()) == ["output_audio_buffer.cleared", "conversation.item.truncated"]


def test_an_item_that_was_deleted_while_it_played_is_not_truncated():
    stage = PlayingStage()
    stage.ask(*two_ticks())
    stage.play(120)
    stage.send("conversation.item.delete", item_id=stage.client.last("response.output_item.done")["item"]["id"])
    assert stage.playback is not None
    stage.playback.clear()
    assert types(stage.read()) == ["output_audio_buffer.cleared"]


def test_a_response_out_of_band_is_heard_but_has_no_item_to_truncate():
    stage = PlayingStage()
    stage.side_scripts.append([Beat("Aside.", WORDS), Beat("", WORDS), *two_ticks()])
    stage.send("response.create", response={"conversation": "none"})
    stage.tick()
    assert rms(stage.play(200)[0]) > 0.1
    assert stage.playback is not None
    stage.playback.clear()
    assert types(stage.read()) == ["output_audio_buffer.cleared"]


def test_telephone_codes_are_heard_as_well():
    stage = PlayingStage(patch={"audio": {"output": {"format": {"type": "audio/pcmu"}}}})
    stage.ask(*two_ticks())
    pcm, _ = stage.play(540)
    assert rms(pcm[4_800:9_600]) > 0.2


def test_text_makes_no_sound():
    stage = PlayingStage(patch={"output_modalities": ["text"]})
    stage.ask(Beat("Hello."))
    pcm, events = stage.play(100)
    assert not pcm.any()
    assert events == []
