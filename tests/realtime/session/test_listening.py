"""The microphone: windows for ticks, turns for the conversation, positions in between."""

import numpy as np
import pytest

from realtime.protocol.errors import ProtocolError
from realtime.protocol.session_config import PCM, PCMU, AudioInputConfig, ServerVad
from realtime.session.limits import SessionLimits
from realtime.session.listening import Listener
from realtime.session.turns import SpeechStarted, SpeechStopped, TurnEvent
from streams.resample import float_to_pcm16
from streams.types import SAMPLES_PER_TICK, AudioChunk, Samples
from tests.realtime.stage import LoudIsSpeech, loud, quiet

MANUAL = AudioInputConfig(turn_detection=None)
DETECTED = AudioInputConfig(turn_detection=ServerVad())


def listener(config: AudioInputConfig = MANUAL, limits: SessionLimits | None = None, keeps: bool = True) -> Listener:
    return Listener(config, limits or SessionLimits(), LoudIsSpeech, keeps)


def append(listening: Listener, pcm: Samples) -> list[TurnEvent]:
    return listening.append(float_to_pcm16(pcm).tobytes())


def test_a_commit_takes_all_sound_since_the_last() -> None:
    listening = listener()
    append(listening, loud(300))
    first = listening.commit()
    append(listening, quiet(200))
    second = listening.commit()
    assert (first.start_ms, first.end_ms, second.start_ms, second.end_ms) == (0, 300, 300, 500)
    assert first.pcm is not None
    np.testing.assert_allclose(first.pcm, loud(300), atol=1e-4)
    assert listening.num_committed == 500 * 24


def test_a_commit_of_next_to_nothing_is_refused() -> None:
    listening = listener()
    append(listening, loud(99))
    with pytest.raises(ProtocolError, match=r"only has 99\.?0?0?ms") as caught:
        listening.commit()
    assert caught.value.code == "input_audio_buffer_commit_empty"


def test_an_odd_byte_waits_for_its_other_half() -> None:
    listening = listener()
    data = float_to_pcm16(loud(200)).tobytes()
    listening.append(data[:1_001])
    listening.append(data[1_001:])
    assert listening.commit().end_ms == 200


def test_telephone_sound_is_resampled() -> None:
    listening = listener(AudioInputConfig(format=PCMU, turn_detection=None))
    listening.append(bytes(8_000))
    assert 900 <= listening.commit().end_ms <= 1_000


def test_a_new_format_applies_from_then_on() -> None:
    listening = listener()
    append(listening, loud(200))
    listening.configure(AudioInputConfig(format=PCMU, turn_detection=None))
    listening.append(bytes(1_600))
    assert listening.commit().end_ms > 300
    listening.configure(AudioInputConfig(format=PCM, turn_detection=None))


def test_sounds_are_kept_only_for_models_that_can_be_told_them_again() -> None:
    listening = listener(keeps=False)
    append(listening, loud(300))
    turn = listening.commit()
    assert turn.pcm is None
    assert (turn.start_ms, turn.end_ms) == (0, 300)


def test_a_long_turn_loses_its_oldest_part() -> None:
    listening = listener(limits=SessionLimits(max_turn_audio_s=1.0))
    append(listening, loud(900))
    append(listening, quiet(900))
    append(listening, quiet(10))
    turn = listening.commit()
    assert (turn.start_ms, turn.end_ms) == (800, 1_810)


def test_more_sound_than_may_wait_is_refused_whole() -> None:
    listening = listener(limits=SessionLimits(max_buffered_audio_s=1.0))
    append(listening, loud(800))
    with pytest.raises(ProtocolError) as caught:
        append(listening, loud(800))
    assert caught.value.code == "input_audio_buffer_full"
    assert listening.commit().end_ms == 800


def test_a_detected_turn_carries_its_sound_with_its_prefix() -> None:
    listening = listener(DETECTED)
    events: list[TurnEvent] = []
    sound = np.concatenate((quiet(960), loud(640), quiet(960)))
    for start in range(0, len(sound), 2_400):
        for event in append(listening, sound[start : start + 2_400]):
            events.append(event)
            if isinstance(event, SpeechStopped):
                assert isinstance(events[0], SpeechStarted)
                turn = listening.take_turn(events[0].start_ms, event.end_ms)
    assert events == [SpeechStarted(660), SpeechStopped(2_112)]
    assert (turn.start_ms, turn.end_ms) == (660, 2_112)
    assert turn.pcm is not None
    np.testing.assert_allclose(turn.pcm, sound[660 * 24 : 2_112 * 24], atol=1e-4)


def test_without_speech_only_the_prefix_is_kept() -> None:
    listening = listener(DETECTED)
    for _ in range(50):
        append(listening, quiet(100))
    assert 300 <= listening.commit().end_ms - 4_500 <= 600


def test_a_commit_while_somebody_speaks_ends_the_turn() -> None:
    listening = listener(DETECTED)
    append(listening, loud(640))
    assert listening.is_speaking
    listening.commit()
    assert not listening.is_speaking
    assert append(listening, quiet(960)) == []


def test_what_no_tick_took_is_forgotten_by_a_clear() -> None:
    listening = listener(DETECTED)
    append(listening, loud(640))
    listening.clear()
    assert listening.num_waiting == 0
    assert listening.num_heard == 640 * 24
    assert not listening.is_speaking
    with pytest.raises(ProtocolError):
        listening.commit()


def test_ticks_hear_what_was_pushed() -> None:
    listening = listener()
    append(listening, loud(400))
    assert (listening.num_heard, listening.num_heard_after(takes_window=True)) == (0, SAMPLES_PER_TICK)
    window = listening.take_window(0)
    assert window.gap_samples == 0
    assert listening.num_heard == SAMPLES_PER_TICK
    assert listening.num_heard_after(takes_window=True) == 400 * 24
    assert listening.take_window(1).gap_samples == SAMPLES_PER_TICK - 150 * 24


def test_media_with_times_may_have_gaps() -> None:
    listening = listener()
    listening.hear(AudioChunk(0, loud(100)))
    listening.hear(AudioChunk(200_000, loud(100)))
    assert listening.take_window(0).gap_samples == 100 * 24


def test_a_long_append_is_looked_at_piece_by_piece() -> None:
    class Lazy(LoudIsSpeech):
        def push(self, pcm: Samples) -> list[float]:
            found = super().push(pcm)
            self._late = [*getattr(self, "_late", []), *found]
            now, self._late = self._late[:4], self._late[4:]
            return now

    listening = Listener(DETECTED, SessionLimits(), Lazy, keeps_sound=True)
    events = append(listening, np.concatenate((quiet(320), loud(640), quiet(960))))
    while len(events) < 2:
        events += listening.listen()
    assert events == [SpeechStarted(20), SpeechStopped(1_472)]
    assert listening.take_turn(20, 1_472).pcm is not None
