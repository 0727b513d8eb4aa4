"""Packets in any order, each once, in the order they were sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.transports.webrtc.order import DEFAULT_MAX_HELD, OpusPacket, RtpOrder

UNITS = 960


def packet(number: int, start: int = 0) -> OpusPacket:
    return OpusPacket((start + number) % 65_536, (start + number) * UNITS % 2**32, bytes([number % 256]))


def push_all(order: RtpOrder, numbers: list[int], start: int = 0) -> list[int]:
    ready = [out for number in numbers for out in order.push(packet(number, start), 0)]
    return [(out.sequence - start) % 65_536 for out in ready]


def test_packets_in_order_leave_at_once():
    order = RtpOrder()
    for number in range(5):
        assert order.push(packet(number), number) == [packet(number)]


def test_packets_that_overtook_another_wait_for_it():
    assert push_all(RtpOrder(), [0, 2, 3, 1, 4]) == [0, 1, 2, 3, 4]


def test_a_hole_is_given_up_when_too_many_wait_behind_it():
    order = RtpOrder()
    assert push_all(order, [0, 2, 3, 4]) == [0]
    assert push_all(order, [5]) == [2, 3, 4, 5]
    assert order.stats.lost == 1


def test_a_packet_later_than_that_is_dropped_and_counted():
    order = RtpOrder()
    assert push_all(order, [0, 2, 3, 4, 5, 1, 6]) == [0, 2, 3, 4, 5, 6]
    assert (order.stats.late, order.stats.lost) == (1, 1)


def test_a_packet_that_comes_twice_leaves_once():
    order = RtpOrder()
    assert push_all(order, [0, 2, 2, 1, 1]) == [0, 1, 2]
    assert (order.stats.duplicate, order.stats.late) == (1, 1)


def test_numbers_wrap_around():
    assert push_all(RtpOrder(), [0, 1, 3, 2, 4, 5], start=65_534) == [0, 1, 2, 3, 4, 5]


def test_a_sender_that_starts_anew_is_followed_from_its_second_packet_on():
    order = RtpOrder()
    push_all(order, [0, 1, 2])
    elsewhere = [OpusPacket(number, number, b"x") for number in (30_000, 30_001, 30_002)]
    assert order.push(elsewhere[0], 0) == []
    assert order.push(elsewhere[1], 0) == [elsewhere[1]]
    assert order.push(elsewhere[2], 0) == [elsewhere[2]]
    assert order.stats.restarts == 1


def test_one_stray_packet_changes_nothing():
    order = RtpOrder()
    push_all(order, [0, 1])
    assert order.push(OpusPacket(30_000, 5, b"x"), 0) == []
    assert push_all(order, [2, 3]) == [2, 3]


def test_jitter_is_that_of_the_arrivals():
    steady, shaky = RtpOrder(), RtpOrder()
    for number in range(400):
        steady.push(packet(number), number * 20_000)
        shaky.push(packet(number), number * 20_000 + (10_000 if number % 2 else 0))
    assert steady.stats.jitter_us == pytest.approx(0, abs=1)
    assert shaky.stats.jitter_us == pytest.approx(10_000, rel=0.01)


def test_at_least_one_packet_must_be_held():
    with pytest.raises(ValueError, match="got 0"):
        RtpOrder(max_held=0)


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)), st.integers(0, 65_535))
def test_whatever_arrives_leaves_in_order_and_nothing_piles_up(sent: list[int], lost: set[int], start: int):
    order = RtpOrder()
    order.push(packet(0, start - 1), 0)
    ready: list[int] = []
    for number in (number for number in sent if number not in lost):
        ready += push_all(order, [number], start)
        held = order.stats.received - 1 - len(ready) - order.stats.late
        assert 0 <= held <= DEFAULT_MAX_HELD
    assert ready == sorted(set(ready))
