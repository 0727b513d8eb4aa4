"""Turns in a stream of probabilities, one per 32 ms."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.session_config import SemanticVad, ServerVad, TurnDetection
from realtime.session.turns import IdleTimeout, SpeechStarted, SpeechStopped, TurnDetector, TurnEvent
from streams.types import Samples

SPEECH, SILENCE = 0.9, 0.01


class Probabilities:
    """`VoiceActivity` that takes each sample for a chunk's probability."""

    def push(self, pcm: Samples) -> list[float]:
        return [float(sample) for sample in pcm]

    def reset(self) -> None:
        pass


def detector(config: TurnDetection | None = None, start_ms: int = 0) -> TurnDetector:
    return TurnDetector(config or ServerVad(), Probabilities(), start_ms)


def hear(listening: TurnDetector, *chunks: tuple[float, int]) -> list[TurnEvent]:
    """Each chunk: (probability, milliseconds)."""
    values = [probability for probability, ms in chunks for _ in range(ms // 32)]
    return listening.push(np.array(values, np.float32))


def test_a_turn_has_its_prefix_and_its_silence() -> None:
    events = hear(detector(), (SILENCE, 640), (SPEECH, 960), (SILENCE, 640))
    assert events == [SpeechStarted(640 - 300), SpeechStopped(640 + 960 + 512)]


def test_the_prefix_does_not_reach_before_the_first_sample() -> None:
    assert hear(detector(start_ms=1_000), (SPEECH, 64)) == [SpeechStarted(1_000)]


def test_the_prefix_does_not_reach_into_the_turn_before() -> None:
    events = hear(detector(), (SPEECH, 320), (SILENCE, 512), (SPEECH, 320))
    assert events[1:] == [SpeechStopped(832), SpeechStarted(832)]


def test_a_click_is_no_speech() -> None:
    assert hear(detector(), (SPEECH, 32), (SILENCE, 32), (SPEECH, 32), (SILENCE, 640)) == []


def test_a_short_pause_is_part_of_the_turn() -> None:
    events = hear(detector(), (SPEECH, 320), (SILENCE, 480), (SPEECH, 320), (SILENCE, 512))
    assert events == [SpeechStarted(0), SpeechStopped(320 + 480 + 320 + 512)]


def test_speech_goes_on_a_little_below_the_threshold() -> None:
    assert hear(detector(), (SPEECH, 320), (0.4, 2_000)) == [SpeechStarted(0)]
    assert len(hear(detector(), (SPEECH, 320), (0.3, 2_000))) == 2


def test_the_threshold_is_the_clients() -> None:
    assert hear(detector(ServerVad(threshold=0.95)), (SPEECH, 320)) == []


def test_eagerness_is_a_duration_of_silence() -> None:
    def ends_after(config: SemanticVad) -> int:
        events = hear(detector(config), (SPEECH, 320), (SILENCE, 3_200))
        assert isinstance(events[1], SpeechStopped)
        return events[1].end_ms - 320

    waits = [ends_after(SemanticVad(eagerness=eagerness)) for eagerness in ("high", "medium", "auto", "low")]
    assert waits == [416, 704, 704, 1_408]


def test_new_thresholds_apply_to_the_turn_that_goes_on() -> None:
    listening = detector()
    hear(listening, (SPEECH, 320))
    listening.configure(ServerVad(silence_duration_ms=64))
    assert hear(listening, (SILENCE, 64)) == [SpeechStopped(384)]


def test_a_restart_forgets_the_turn_and_the_time() -> None:
    listening = detector()
    hear(listening, (SPEECH, 320))
    listening.restart(5_000)
    assert not listening.speaking
    assert hear(listening, (SILENCE, 320), (SPEECH, 64)) == [SpeechStarted(5_020)]


def test_silence_after_an_answer_times_out_once() -> None:
    listening = detector(ServerVad(idle_timeout_ms=5_000))
    hear(listening, (SILENCE, 3_200))
    listening.expect_speech(after_ms=800)
    assert hear(listening, (SILENCE, 6_400)) == [IdleTimeout(4_000, 9_024)]
    assert hear(listening, (SILENCE, 16_000)) == []


def test_speech_or_a_new_answer_ends_the_waiting() -> None:
    listening = detector(ServerVad(idle_timeout_ms=5_000))
    listening.expect_speech(after_ms=0)
    assert hear(listening, (SPEECH, 320), (SILENCE, 640), (SILENCE, 9_600)) == [SpeechStarted(0), SpeechStopped(832)]
    listening.expect_speech(after_ms=0)
    listening.stop_expecting()
    assert hear(listening, (SILENCE, 9_600)) == []


@given(st.lists(st.floats(0, 1), max_size=300), st.integers(32, 2_000), st.integers(0, 1_000))
def test_turns_alternate_and_never_overlap(values: list[float], silence_ms: int, prefix_ms: int) -> None:
    listening = detector(ServerVad(silence_duration_ms=silence_ms, prefix_padding_ms=prefix_ms))
    events = [event for value in values for event in listening.push(np.array([value], np.float32))]
    end_ms = 0
    for index, event in enumerate(events):
        if index % 2 == 0:
            assert isinstance(event, SpeechStarted)
            assert event.start_ms >= end_ms
            end_ms = event.start_ms
        else:
            assert isinstance(event, SpeechStopped)
            assert event.end_ms > end_ms
            end_ms = event.end_ms
