"""AudioInput: windows are always whole, gaps are counted once, nothing is lost, memory is bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.audio import AudioInput, AudioOverflow
from streams.types import SAMPLES_PER_TICK, TICK_US, AudioChunk, Samples

PACKET_SAMPLES = 480  # 20 ms
PACKET_US = 20_000


def ramp(start: int, num_samples: int) -> Samples:
    """Samples 1, 2, 3 … scaled into range, so that each says where it belongs and none is silent."""
    return (np.arange(start + 1, start + num_samples + 1) / 1e7).astype(np.float32)


def push_counted(audio: AudioInput, pcm: Samples) -> None:
    """As a WebSocket does: each chunk follows the last."""
    audio.push(AudioChunk(audio.next_pts_us, pcm))


def make_packet(index: int) -> AudioChunk:
    return AudioChunk(index * PACKET_US, ramp(index * PACKET_SAMPLES, PACKET_SAMPLES))


def test_a_window_holds_exactly_the_samples_of_a_tick_and_the_surplus_is_carried() -> None:
    audio = AudioInput()
    sound = ramp(0, 2 * SAMPLES_PER_TICK)
    push_counted(audio, sound[:7_000])
    assert (audio.buffered_ticks, audio.buffered_samples) == (1, 7_000)
    first = audio.take_window(0)
    push_counted(audio, sound[7_000:])
    second = audio.take_window(1)
    assert np.array_equal(np.concatenate([first.samples, second.samples]), sound)
    assert (first.gap_samples, second.gap_samples, audio.buffered_samples) == (0, 0, 0)


def test_missing_sound_is_completed_with_counted_silence() -> None:
    audio = AudioInput()
    push_counted(audio, ramp(0, 100))
    samples, gap_samples = audio.take_window(0)
    assert gap_samples == SAMPLES_PER_TICK - 100
    assert np.array_equal(samples[:100], ramp(0, 100))
    assert not samples[100:].any()


def test_no_sound_at_all_is_a_whole_window_of_gap() -> None:
    samples, gap_samples = AudioInput().take_window(0)
    assert samples.shape == (SAMPLES_PER_TICK,)
    assert samples.dtype == np.float32
    assert gap_samples == SAMPLES_PER_TICK


def test_late_sound_follows_and_is_not_lost() -> None:
    audio = AudioInput()
    push_counted(audio, ramp(0, 5_900))
    audio.take_window(0)
    push_counted(audio, ramp(5_900, 6_000))
    samples, gap_samples = audio.take_window(1)
    assert np.array_equal(samples, ramp(5_900, 6_000))
    assert gap_samples == 0


def test_a_lost_packet_leaves_a_counted_gap_of_its_length() -> None:
    audio = AudioInput()
    for index in range(13):
        if index != 5:
            audio.push(make_packet(index))
    samples, gap_samples = audio.take_window(0)
    assert gap_samples == PACKET_SAMPLES
    whole = ramp(0, SAMPLES_PER_TICK)
    whole[5 * PACKET_SAMPLES : 6 * PACKET_SAMPLES] = 0
    assert np.array_equal(samples, whole)


def test_a_gap_may_span_windows() -> None:
    audio = AudioInput()
    audio.push(AudioChunk(0, ramp(0, 3_000)))
    audio.push(AudioChunk(3 * TICK_US, ramp(0, 6_000)))
    assert [audio.take_window(tick).gap_samples for tick in range(4)] == [3_000, 6_000, 6_000, 0]


def test_silence_already_given_counts_toward_the_gap() -> None:
    """The packet that would have completed the window was lost, not late: the next one is not delayed."""
    audio = AudioInput()
    for index in range(12):
        audio.push(make_packet(index))
    assert audio.take_window(0).gap_samples == SAMPLES_PER_TICK - 12 * PACKET_SAMPLES
    audio.push(make_packet(13))
    samples, _ = audio.take_window(1)
    still_owed = PACKET_SAMPLES - (SAMPLES_PER_TICK - 12 * PACKET_SAMPLES)
    assert not samples[:still_owed].any()
    assert np.array_equal(samples[still_owed : still_owed + PACKET_SAMPLES], make_packet(13).pcm)


def test_a_microphone_that_was_muted_for_long_is_heard_at_once() -> None:
    audio = AudioInput()
    audio.push(AudioChunk(0, ramp(0, 6_000)))
    for tick in range(1_000):
        audio.take_window(tick)
    audio.push(AudioChunk(1_000 * TICK_US, ramp(0, 6_000)))
    assert audio.take_window(1_000) == (pytest.approx(ramp(0, 6_000)), 0)


def test_a_small_step_of_the_timestamp_is_no_gap() -> None:
    audio = AudioInput(tolerance_us=1_000)
    audio.push(AudioChunk(0, ramp(0, 2_400)))
    audio.push(AudioChunk(101_000, ramp(2_400, 3_600)))
    assert audio.take_window(0).gap_samples == 0


@pytest.mark.parametrize("pts_us", [50_000, 3_600_000_000])
def test_a_source_that_starts_anew_follows_without_a_gap(pts_us: int) -> None:
    audio = AudioInput()
    audio.push(AudioChunk(100_000, ramp(0, 3_000)))
    audio.push(AudioChunk(pts_us, ramp(3_000, 3_000)))
    assert audio.take_window(0).gap_samples == 0
    audio.push(AudioChunk(pts_us + 125_000, ramp(0, 6_000)))
    assert audio.take_window(1).gap_samples == 0


def test_the_first_chunk_makes_no_gap_whenever_it_comes() -> None:
    audio = AudioInput()
    audio.take_window(0)
    audio.push(AudioChunk(90_000_000, ramp(0, 6_000)))
    assert audio.buffered_samples == 6_000


def test_more_than_may_wait_is_refused_whole() -> None:
    audio = AudioInput(max_buffered_s=1)
    push_counted(audio, ramp(0, 20_000))
    with pytest.raises(AudioOverflow, match="limit of 1 s"):
        push_counted(audio, ramp(20_000, 4_001))
    assert audio.buffered_samples == 20_000
    push_counted(audio, ramp(20_000, 4_000))
    windows = [audio.take_window(tick).samples for tick in range(4)]
    assert np.array_equal(np.concatenate(windows), ramp(0, 24_000))


def test_a_refused_chunk_leaves_the_clock_where_it_was() -> None:
    audio = AudioInput(max_buffered_s=1)
    audio.push(AudioChunk(0, ramp(0, 20_000)))
    before_us = audio.next_pts_us
    with pytest.raises(AudioOverflow):
        audio.push(AudioChunk(before_us + 500_000, ramp(0, 6_000)))
    assert (audio.next_pts_us, audio.buffered_samples) == (before_us, 20_000)


def test_clear_forgets_what_waits_and_begins_anew() -> None:
    audio = AudioInput()
    audio.push(AudioChunk(0, ramp(0, 15_000)))
    audio.clear()
    assert audio.buffered_samples == 0
    audio.push(AudioChunk(10_000_000, ramp(0, 6_000)))
    assert audio.take_window(0).gap_samples == 0


def test_a_tick_is_taken_once_and_in_order() -> None:
    audio = AudioInput()
    audio.take_window(3)
    for tick in (3, 2):
        with pytest.raises(ValueError, match=f"tick {tick}"):
            audio.take_window(tick)
    audio.take_window(7)


def test_a_window_taken_is_not_written_again() -> None:
    audio = AudioInput()
    push_counted(audio, ramp(0, 10))
    window = audio.take_window(0)
    push_counted(audio, ramp(10, 6_000))
    assert np.count_nonzero(window.samples) == 10


def test_a_bound_below_one_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.1"):
        AudioInput(max_buffered_s=0.1)


@given(st.lists(st.one_of(st.integers(0, 9_000), st.none()), max_size=40))
def test_whatever_the_pieces_every_sample_comes_out_once_and_in_order(steps: list[int | None]) -> None:
    """An integer pushes that many samples, None takes a window."""
    audio = AudioInput()
    pushed = tick = gap_samples = 0
    windows: list[Samples] = []
    for step in [*steps, *[None] * 70]:
        if step is None:
            window = audio.take_window(tick)
            windows.append(window.samples)
            gap_samples += window.gap_samples
            tick += 1
        else:
            push_counted(audio, ramp(pushed, step))
            pushed += step
    heard = np.concatenate(windows)
    assert np.array_equal(heard[heard != 0], ramp(0, pushed))
    assert pushed + gap_samples == len(heard)


@given(lost=st.sets(st.integers(1, 51)), taken_after=st.sets(st.integers(1, 51)))
def test_with_timestamps_the_sound_never_runs_ahead_of_its_time(lost: set[int], taken_after: set[int]) -> None:
    """Each sample comes out at its own place or, where a window was taken before it came, later."""
    audio = AudioInput()
    windows: list[Samples] = []
    for index in range(52):
        if index not in lost:
            audio.push(make_packet(index))
        if index in taken_after:
            windows.append(audio.take_window(len(windows)).samples)
    while audio.buffered_samples:
        windows.append(audio.take_window(len(windows)).samples)
    heard = np.concatenate(windows)
    places = np.flatnonzero(heard)
    source = np.concatenate([make_packet(index).pcm for index in range(52) if index not in lost])
    assert np.array_equal(heard[places], source)
    assert np.all(places + 1 >= np.rint(source * 1e7 - 0.5))
