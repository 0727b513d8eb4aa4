"""What the agent says, as it plays: when it starts and stops, what was heard of it, and how it is cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from realtime.transports.webrtc.speech import AHEAD_MS, CUSHION_MS, Cleared, Note, Place, SpeechQueue, Started, Stopped
from streams.types import SAMPLE_RATE_HZ, Samples
from tests.realtime.transports.sounds import rms, tone

MS = SAMPLE_RATE_HZ // 1000
FRAME = 20 * MS
FIRST = Place("resp_1", "item_1", 0)
SECOND = Place("resp_2", "item_2", 0)


def sound(duration_ms: int) -> Samples:
    return tone(440, duration_ms)


def notes_of(queue: SpeechQueue) -> list[Note]:
    notes = []
    while (note := queue.pop_note()) is not None:
        notes.append(note)
    return notes


def play(queue: SpeechQueue, duration_ms: int) -> Samples:
    return np.concatenate([queue.take(FRAME) for _ in range(duration_ms // 20)])


def test_an_empty_queue_plays_silence():
    queue = SpeechQueue()
    assert not play(queue, 100).any()
    assert notes_of(queue) == []


def test_sound_plays_after_a_short_cushion_and_unchanged():
    queue = SpeechQueue()
    queue.push(FIRST, sound(250))
    assert not play(queue, CUSHION_MS).any()
    assert np.array_equal(play(queue, 240), sound(240))


def test_a_response_starts_with_its_first_sound_and_stops_when_it_is_over_and_played():
    queue = SpeechQueue()
    queue.push(FIRST, sound(100))
    assert notes_of(queue) == []
    play(queue, 60)
    assert notes_of(queue) == [Started("resp_1")]
    queue.finish("resp_1")
    assert notes_of(queue) == []
    play(queue, 60)
    assert notes_of(queue) == [Stopped("resp_1")]


def test_a_response_that_was_played_before_it_is_over_stops_when_it_is():
    queue = SpeechQueue()
    queue.push(FIRST, sound(40))
    play(queue, 100)
    queue.finish("resp_1")
    assert notes_of(queue) == [Started("resp_1"), Stopped("resp_1")]


def test_a_response_without_sound_leaves_no_trace():
    queue = SpeechQueue()
    queue.finish("resp_1")
    queue.clear()
    assert notes_of(queue) == []


def test_a_cut_says_what_was_played():
    queue = SpeechQueue()
    queue.push(FIRST, sound(500))
    play(queue, CUSHION_MS + 120)
    queue.clear()
    assert notes_of(queue) == [Started("resp_1"), Cleared("resp_1", ((FIRST, 120),))]
    assert not play(queue, 100).any()
    assert queue.queued_samples == 0


def test_a_finished_response_that_still_plays_can_be_cut():
    queue = SpeechQueue()
    queue.push(FIRST, sound(500))
    queue.finish("resp_1")
    play(queue, CUSHION_MS + 100)
    queue.clear()
    queue.clear()
    assert notes_of(queue)[1:] == [Cleared("resp_1", ((FIRST, 100),))]


def test_what_was_played_to_its_end_is_not_cut():
    queue = SpeechQueue()
    queue.push(FIRST, sound(100))
    queue.finish("resp_1")
    play(queue, 200)
    queue.clear()
    assert notes_of(queue) == [Started("resp_1"), Stopped("resp_1")]


def test_every_waiting_response_is_cut_and_earlier_items_are_left_alone():
    queue = SpeechQueue()
    later = Place("resp_1", "item_1b", 0)
    queue.push(FIRST, sound(100))
    queue.push(later, sound(100))
    queue.finish("resp_1")
    queue.push(SECOND, sound(100))
    play(queue, CUSHION_MS + 140)
    queue.clear()
    assert notes_of(queue)[1:] == [Cleared("resp_1", ((later, 40),)), Cleared("resp_2", ((SECOND, 0),))]


def test_a_response_in_the_making_is_cut_even_if_all_of_it_was_played_so_far():
    queue = SpeechQueue()
    queue.push(FIRST, sound(100))
    play(queue, 200)
    queue.clear()
    assert notes_of(queue)[1:] == [Cleared("resp_1", ((FIRST, 100),))]


def test_nothing_more_is_heard_of_a_cut_response():
    queue = SpeechQueue()
    queue.push(FIRST, sound(250))
    play(queue, 100)
    queue.clear()
    queue.push(FIRST, sound(250))
    queue.finish("resp_1")
    assert not play(queue, 300).any()
    assert notes_of(queue) == [Started("resp_1"), Cleared("resp_1", ((FIRST, 80),))]


def test_the_next_response_is_heard_after_a_cut():
    queue = SpeechQueue()
    queue.push(FIRST, sound(250))
    queue.clear()
    queue.push(SECOND, sound(100))
    assert rms(play(queue, 140)) > 0.1
    assert Started("resp_2") in notes_of(queue)


def test_a_late_tick_is_counted_as_silence_inside_a_response():
    queue = SpeechQueue()
    queue.push(FIRST, sound(100))
    play(queue, CUSHION_MS + 100 + 60)
    queue.push(FIRST, sound(100))
    play(queue, CUSHION_MS + 100)
    assert queue.late_samples == (60 + CUSHION_MS) * MS


def test_the_silence_after_a_response_is_not_late():
    queue = SpeechQueue()
    queue.push(FIRST, sound(100))
    queue.finish("resp_1")
    play(queue, 1_000)
    queue.push(SECOND, sound(100))
    play(queue, 200)
    assert queue.late_samples == 0


def test_what_does_not_fit_is_dropped_and_counted():
    queue = SpeechQueue(max_queued_s=0.5)
    queue.push(FIRST, sound(400))
    queue.push(FIRST, sound(400))
    assert (queue.queued_samples, queue.dropped_samples) == (400 * MS, 400 * MS)


def test_delay_from_a_late_tick_is_taken_back_while_sound_goes_on():
    queue = SpeechQueue()
    queue.push(FIRST, sound(250))
    for tick in range(400):
        play(queue, 740 if tick == 0 else 240)  # half a second passes without a tick
        queue.push(FIRST, sound(250))
        queue.take(10 * MS)
        if tick == 0:
            queue.push(FIRST, sound(500))  # what it should have brought
    assert queue.shortened_samples > 300 * MS
    assert queue.queued_samples < (250 + 100) * MS


def test_what_is_generated_ahead_is_not_shortened():
    queue = SpeechQueue()
    for _ in range(100):
        queue.push(FIRST, sound(250))
    heard = play(queue, 24_000)
    assert len(heard[CUSHION_MS * MS :]) > AHEAD_MS * MS
    assert queue.shortened_samples == 0


def test_shortened_sound_counts_in_full_as_played():
    queue = SpeechQueue()
    queue.push(FIRST, sound(250))
    for _ in range(200):
        queue.push(FIRST, sound(250))
        play(queue, 240)
        queue.take(10 * MS)
    assert queue.shortened_samples > 0
    queue.clear()
    (_, cleared) = notes_of(queue)
    assert isinstance(cleared, Cleared)
    ((_, played_ms),) = cleared.cuts
    assert played_ms > 200 * 250 - CUSHION_MS


@given(st.lists(st.sampled_from(["push", "take", "clear", "finish"]), max_size=60))
def test_every_started_response_stops_or_is_cleared_once_and_all_is_accounted_for(steps: list[str]):
    queue = SpeechQueue()
    number = 0
    for step in steps:
        place = Place(f"resp_{number}", f"item_{number}", 0)
        if step == "push":
            queue.push(place, sound(60))
        elif step == "take":
            queue.take(FRAME)
        elif step == "clear":
            queue.clear()
        else:
            queue.finish(place.response_id)
            number += 1
    queue.finish(f"resp_{number}")
    play(queue, 60 * 100)
    notes = notes_of(queue)
    started = [note.response_id for note in notes if isinstance(note, Started)]
    ended = [note.response_id for note in notes if not isinstance(note, Started)]
    assert len(set(started)) == len(started)
    assert len(set(ended)) == len(ended)
    assert set(started) <= set(ended)
    assert queue.queued_samples == 0
