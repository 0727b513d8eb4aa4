"""JitterBuffer: order restored, losses turned into counted silence, memory bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.jitter import MAX_DROPOUT, JitterBuffer, Packet, Run, signed_distance

PACKET_SAMPLES = 4


def make_packet(index: int, first_sequence: int = 0, first_timestamp: int = 0) -> Packet:
    """The packet whose samples are 4*index+1 .. 4*index+4, so that every sample says where it belongs."""
    pcm = np.arange(1, PACKET_SAMPLES + 1, dtype=np.float32) + PACKET_SAMPLES * index
    return Packet((first_sequence + index) % (1 << 16), (first_timestamp + PACKET_SAMPLES * index) % (1 << 32), pcm)


def make_buffer(depth_packets: int = 3, max_gap_samples: int = 1_000) -> JitterBuffer:
    return JitterBuffer(depth_packets * PACKET_SAMPLES, max_gap_samples)


def joined(runs: list[Run]) -> list[float]:
    """All samples; fails unless each run starts where the one before ended."""
    samples: list[float] = []
    for run in runs:
        assert run.start_sample == len(samples)
        samples += run.pcm.tolist()
    return samples


def push_all(buffer: JitterBuffer, packets: list[Packet]) -> list[Run]:
    return [run for packet in packets for run in buffer.push(packet)]


def test_packets_in_order_leave_at_once() -> None:
    buffer = make_buffer()
    for index in range(5):
        runs = buffer.push(make_packet(index))
        assert [len(run.pcm) for run in runs] == [PACKET_SAMPLES]
    assert buffer.held_samples == 0


def test_a_packet_out_of_order_waits_for_the_one_before() -> None:
    buffer = make_buffer()
    buffer.push(make_packet(0))
    assert buffer.push(make_packet(2)) == []
    runs = buffer.push(make_packet(1))
    assert [run.pcm[0] for run in runs] == [5, 9]


def test_late_packet_is_dropped_and_counted() -> None:
    buffer = make_buffer()
    push_all(buffer, [make_packet(0), make_packet(1)])
    assert buffer.push(make_packet(0)) == []
    assert buffer.stats.late == 1


def test_duplicate_of_a_waiting_packet_is_dropped_and_counted() -> None:
    buffer = make_buffer()
    runs = push_all(buffer, [make_packet(i) for i in (0, 2, 2, 1)])
    assert joined(runs) == list(range(1, 13))
    assert buffer.stats.duplicate == 1
    assert buffer.held_samples == 0


def test_a_lost_packet_becomes_counted_silence_once_the_buffer_is_full() -> None:
    buffer = make_buffer(depth_packets=2)
    runs = push_all(buffer, [make_packet(i) for i in (0, 2, 3)])
    assert len(runs) == 1
    runs += buffer.push(make_packet(4))
    assert [run.gap for run in runs] == [False, True, False, False, False]
    assert joined(runs)[4:8] == [0, 0, 0, 0]
    assert (buffer.stats.lost, buffer.stats.gap_samples) == (1, PACKET_SAMPLES)


def test_the_lost_packet_is_late_when_it_comes_after_all() -> None:
    buffer = make_buffer(depth_packets=1)
    push_all(buffer, [make_packet(i) for i in (0, 2, 3)])
    assert buffer.push(make_packet(1)) == []
    assert buffer.stats.late == 1


def test_silence_the_sender_did_not_send_is_filled_without_waiting() -> None:
    """Discontinuous transmission: sequence numbers continue, timestamps jump."""
    buffer = make_buffer()
    runs = buffer.push(Packet(1, 100, np.ones(4, np.float32)))
    runs += buffer.push(Packet(2, 110, np.ones(4, np.float32)))
    assert [(len(run.pcm), run.gap) for run in runs] == [(4, False), (6, True), (4, False)]
    assert buffer.stats.lost == 0


def test_overlapping_samples_are_played_once() -> None:
    buffer = make_buffer()
    runs = buffer.push(Packet(1, 100, np.array([1, 2, 3, 4], np.float32)))
    runs += buffer.push(Packet(2, 102, np.array([3, 4, 5, 6], np.float32)))
    assert joined(runs) == [1, 2, 3, 4, 5, 6]


def test_a_timestamp_jump_beyond_the_bound_makes_no_silence() -> None:
    buffer = make_buffer(max_gap_samples=10)
    runs = buffer.push(Packet(1, 0, np.ones(4, np.float32)))
    runs += buffer.push(Packet(2, 1 << 31, np.ones(4, np.float32)))
    assert joined(runs) == [1] * 8
    assert buffer.stats.restarts == 1


def test_a_single_stray_sequence_number_is_ignored() -> None:
    buffer = make_buffer()
    runs = push_all(buffer, [make_packet(i) for i in (0, 20_000, 1)])
    assert joined(runs) == list(range(1, 9))
    assert (buffer.stats.late, buffer.stats.restarts) == (1, 0)


def test_two_packets_in_a_row_from_elsewhere_are_a_new_start() -> None:
    buffer = make_buffer()
    runs = push_all(buffer, [make_packet(0), make_packet(MAX_DROPOUT + 50), make_packet(MAX_DROPOUT + 51)])
    assert [run.gap for run in runs] == [False, False]
    assert buffer.stats.restarts == 1
    assert len(buffer.push(make_packet(MAX_DROPOUT + 52))) == 1


def test_flush_returns_what_waits_behind_a_hole() -> None:
    buffer = make_buffer()
    runs = push_all(buffer, [make_packet(0), make_packet(2)])
    assert joined(runs + buffer.flush()) == [1, 2, 3, 4, 0, 0, 0, 0, 9, 10, 11, 12]
    assert buffer.flush() == []


@pytest.mark.parametrize("bad", [(-1, 0), (1 << 16, 0), (0, -1), (0, 1 << 32)])
def test_counters_outside_their_bits_are_refused(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="bits"):
        Packet(*bad, np.ones(1, np.float32))


def test_distance_takes_the_short_way_around() -> None:
    assert signed_distance(65_535, 0, 1 << 16) == 1
    assert signed_distance(0, 65_535, 1 << 16) == -1


@given(
    first_sequence=st.integers(0, 65_535),
    first_timestamp=st.integers(0, (1 << 32) - 1),
    order=st.permutations(range(1, 12)),
)
def test_any_order_within_the_depth_is_restored_across_both_wraps(
    first_sequence: int, first_timestamp: int, order: list[int]
) -> None:
    buffer = make_buffer(depth_packets=12)
    packets = [make_packet(index, first_sequence, first_timestamp) for index in [0, *order]]
    assert joined(push_all(buffer, packets)) == list(range(1, 12 * PACKET_SAMPLES + 1))
    assert buffer.stats.lost == buffer.stats.late == buffer.stats.gap_samples == 0


@given(indices=st.lists(st.integers(0, 60), min_size=1, max_size=80), depth_packets=st.integers(1, 6))
def test_whatever_comes_every_sample_is_in_its_place_or_silent(indices: list[int], depth_packets: int) -> None:
    buffer = make_buffer(depth_packets)
    runs: list[Run] = []
    for index in indices:
        runs += buffer.push(make_packet(index))
        assert buffer.held_samples <= depth_packets * PACKET_SAMPLES
    samples = np.array(joined(runs + buffer.flush()))
    places = np.arange(len(samples)) + 1 + PACKET_SAMPLES * indices[0]
    assert np.all((samples == places) | (samples == 0))
    stats = buffer.stats
    played = np.count_nonzero(samples) // PACKET_SAMPLES
    assert played + stats.late + stats.duplicate == stats.received == len(indices)
    assert stats.gap_samples == stats.lost * PACKET_SAMPLES == np.count_nonzero(samples == 0)
