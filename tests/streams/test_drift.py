"""A queue between two clocks: what waits in it for nothing is taken back, and an hour changes nothing."""

import random
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.audio import AudioInput
from streams.drift import DEFAULT_MARGIN_MS, MAX_SQUEEZE, DelayKeeper, squeezed
from streams.types import SAMPLE_RATE_HZ, TICK_US, AudioChunk

PACKET_SAMPLES = 480
PACKET_US = 20_000
MS = SAMPLE_RATE_HZ // 1000
SPEECH = np.full(PACKET_SAMPLES, 0.1, np.float32)
SILENCE = np.zeros(PACKET_SAMPLES, np.float32)


def push_for(keeper: DelayKeeper, seconds: float, pcm: np.ndarray, waiting: int) -> int:
    """Push chunks into a queue that loses as much as it gets; returns what waits in it at the end."""
    for _ in range(int(seconds * SAMPLE_RATE_HZ / len(pcm))):
        waiting -= len(pcm) - len(keeper.push(pcm, waiting))
    return waiting


def test_what_the_queue_needs_is_left_in_it():
    keeper = DelayKeeper(margin_ms=40, window_s=2)
    for number in range(1_000):
        level = 0 if number % 50 == 0 else 200 * MS  # once a second it is all used up
        assert len(keeper.push(SPEECH, level)) == PACKET_SAMPLES
    assert keeper.removed_samples == 0


def test_silence_that_waits_for_nothing_is_dropped_whole():
    keeper = DelayKeeper(margin_ms=40, window_s=2)
    assert push_for(keeper, 0.9, SILENCE, 240 * MS) == 240 * MS, "half a window is not enough to know"
    assert push_for(keeper, 0.5, SILENCE, 240 * MS) == 40 * MS
    assert keeper.removed_samples == 200 * MS


def test_speech_becomes_a_little_faster_until_the_delay_is_gone():
    keeper = DelayKeeper(margin_ms=40, window_s=2)
    push_for(keeper, 1.0, SPEECH, 240 * MS)
    assert len(keeper.push(SPEECH, 240 * MS)) == PACKET_SAMPLES - int(PACKET_SAMPLES * MAX_SQUEEZE)
    assert push_for(keeper, 10.0, SPEECH, 240 * MS) == pytest.approx(40 * MS, abs=MS)


def test_restarting_forgets_the_old_queue():
    keeper = DelayKeeper(margin_ms=40, window_s=2)
    push_for(keeper, 1.0, SILENCE, 240 * MS)
    keeper.restart()
    assert len(keeper.push(SILENCE, 240 * MS)) == PACKET_SAMPLES


def test_what_piled_up_at_the_beginning_is_gone_in_seconds():
    keeper = DelayKeeper(margin_ms=40, window_s=20)
    assert push_for(keeper, 1.5, SILENCE, 240 * MS) == 40 * MS


def test_later_it_takes_a_whole_window_to_know_what_is_not_needed():
    keeper = DelayKeeper(margin_ms=40, window_s=20)
    push_for(keeper, 60, SILENCE, 0)
    assert push_for(keeper, 9.5, SILENCE, 240 * MS) == 240 * MS
    assert push_for(keeper, 11.0, SILENCE, 240 * MS) == 40 * MS


@pytest.mark.parametrize(("margin_ms", "window_s"), [(-1, 8.0), (30, 0.0)])
def test_bad_bounds_are_refused(margin_ms: int, window_s: float):
    with pytest.raises(ValueError, match=r"the margin must not be negative"):
        DelayKeeper(margin_ms, window_s)


def test_squeezing_keeps_the_tune():
    time_s = np.arange(6_000) / SAMPLE_RATE_HZ
    tone = np.sin(2 * np.pi * 300 * time_s).astype(np.float32)
    short = squeezed(tone, 5_760)
    spectrum = np.abs(np.fft.rfft(short * np.hanning(len(short)), SAMPLE_RATE_HZ))
    assert int(np.argmax(spectrum)) == pytest.approx(300 / 0.96, abs=2)
    assert np.abs(short).max() <= 1.0


@given(st.lists(st.tuples(st.integers(0, 24_000), st.booleans()), min_size=1, max_size=300))
def test_never_longer_and_never_more_removed_than_waits(steps: list[tuple[int, bool]]):
    keeper = DelayKeeper(margin_ms=20, window_s=0.5)
    for waiting, is_speech in steps:
        pcm = SPEECH if is_speech else SILENCE
        kept = keeper.push(pcm, waiting)
        assert len(pcm) - waiting <= len(kept) <= len(pcm)


# --- an hour --------------------------------------------------------------------------------------------------------


def arrivals(seconds: int, drift_ppm: float, jitter_us: int, loss: float, seed: int) -> Iterator[int]:
    """When the packets of a call come out of sorting: in order, those that are lost when three more have come."""
    rng = random.Random(seed)
    step_us = PACKET_US * (1 + drift_ppm * 1e-6)
    latest_us = 0.0
    lost: deque[int] = deque()
    for number in range(seconds * 50):
        if rng.random() < loss:
            lost.append(number)
            continue
        if lost and number - lost[0] <= 3:
            continue  # it waits behind the hole
        latest_us = max(latest_us, number * step_us + rng.random() * jitter_us)
        for _ in range(number - lost.popleft() if lost else 0):
            yield int(latest_us)
        lost.clear()
        yield int(latest_us)


def delays_ms(arrived: Iterator[int], keeper: DelayKeeper | None) -> list[float]:
    """What waits after each tick has taken its window: the delay beyond that of the tick itself."""
    microphone = AudioInput()
    delays: list[float] = []
    for arrived_us in arrived:
        while len(delays) * TICK_US + TICK_US <= arrived_us:
            microphone.take_window(len(delays))
            delays.append(microphone.buffered_samples / MS)
        waiting = microphone.buffered_samples
        pcm = SPEECH if keeper is None else keeper.push(SPEECH, waiting)
        microphone.push(AudioChunk(microphone.next_pts_us, pcm))
    return delays


@pytest.mark.parametrize("drift_ppm", [-100.0, 100.0])
def test_an_hour_at_one_percent_loss_and_50_ms_of_jitter_adds_no_delay(drift_ppm: float):
    delays = delays_ms(arrivals(3_600, drift_ppm, 50_000, 0.01, seed=7), DelayKeeper())
    tenth = len(delays) // 10
    first, last = (float(np.mean(part)) for part in (delays[tenth : 2 * tenth], delays[-tenth:]))
    assert last - first < 20.0
    assert max(delays[tenth:]) < 60 + 50 + 2 * DEFAULT_MARGIN_MS  # sorting, jitter, and what is kept for them


def test_without_it_a_fast_clock_would_add_delay_for_ever():
    delays = delays_ms(arrivals(1_200, -100.0, 0, 0.0, seed=7), None)
    assert delays[-1] - delays[0] == pytest.approx(120, abs=30)


def test_a_stall_of_the_network_is_caught_up_with():
    keeper = DelayKeeper()
    on_time = arrivals(120, 0.0, 5_000, 0.0, seed=3)
    stalled = (max(us, 30_600_000) if us > 30_000_000 else us for us in on_time)
    delays = delays_ms(stalled, keeper)
    assert max(delays[120:140]) > 400
    assert delays[-1] < 2 * DEFAULT_MARGIN_MS
