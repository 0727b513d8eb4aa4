"""Token buckets, pacing and the gate: all of it arithmetic on a time that the test chooses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.limits import MAX_TRACKED_ADDRESSES, MIB, ConnectionGate, ConnectionPace, Limits, TokenBucket
from realtime.refusal import Refusal, RefusalCode

SECOND = 1_000_000


def test_a_bucket_starts_full_and_waits_once_empty() -> None:
    bucket = TokenBucket(rate_per_s=10, burst=2, now_us=0)
    assert [bucket.take(1, 0) for _ in range(3)] == [0, 0, 100_000]


def test_a_debt_is_paid_by_time_alone() -> None:
    bucket = TokenBucket(rate_per_s=10, burst=1, now_us=0)
    assert bucket.take(6, 0) == 500_000
    assert bucket.take(0, 200_000) == 300_000
    assert bucket.take(0, 500_000) == 0


def test_try_take_leaves_the_bucket_alone_when_there_is_too_little() -> None:
    bucket = TokenBucket(rate_per_s=1, burst=1, now_us=0)
    assert bucket.try_take(1, 0) == 0
    assert bucket.try_take(1, SECOND // 2) == SECOND // 2
    assert bucket.try_take(1, SECOND) == 0


def test_a_clock_that_steps_back_adds_nothing() -> None:
    bucket = TokenBucket(rate_per_s=1, burst=1, now_us=10 * SECOND)
    assert bucket.take(1, 10 * SECOND) == 0
    assert bucket.take(0, 0) == 0
    assert bucket.take(1, 10 * SECOND) == SECOND


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 3 * SECOND)), min_size=1, max_size=60))
def test_whoever_waits_as_told_never_exceeds_rate_and_burst(steps: list[tuple[float, int]]) -> None:
    bucket = TokenBucket(rate_per_s=20, burst=30, now_us=0)
    now_us = taken = 0.0
    for amount, idle_us in steps:
        now_us += idle_us
        taken += amount
        now_us += bucket.take(amount, int(now_us))
        assert taken <= 30 + 20 * now_us / SECOND + 0.1


def test_a_connection_within_its_rates_is_never_slowed() -> None:
    pace = ConnectionPace(Limits(), now_us=0)
    assert all(pace.receive(6_500, tick * 10_000) == 0 for tick in range(5_000))


def test_one_frame_of_the_greatest_size_passes_at_once_and_the_flood_after_it_waits() -> None:
    pace = ConnectionPace(Limits(), now_us=0)
    assert pace.receive(20 * MIB, 0) == 0
    assert pace.receive(20 * MIB, 0) == 2 * SECOND


def test_a_burst_of_small_events_is_paced_by_their_number() -> None:
    pace = ConnectionPace(Limits(events_per_s=10, event_burst=5), now_us=0)
    assert [pace.receive(2, 0) for _ in range(6)] == [0] * 5 + [100_000]


def test_the_gate_counts_sessions_by_address_and_frees_them() -> None:
    gate = ConnectionGate(Limits(max_sessions_per_address=2))
    assert gate.enter("a", "key-1") is None
    assert gate.enter("a", "key-2") is None
    refusal = gate.enter("a", "key-3")
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.TOO_MANY_SESSIONS
    assert gate.enter("b", "key-1") is None
    gate.leave("a", "key-1")
    assert gate.enter("a", "key-3") is None


def test_the_gate_counts_sessions_by_key() -> None:
    gate = ConnectionGate(Limits(max_sessions_per_key=1))
    assert gate.enter("a", "key-1") is None
    refusal = gate.enter("b", "key-1")
    assert isinstance(refusal, Refusal)
    assert "1 sessions" in refusal.message
    assert gate.enter("b", "key-2") is None


def test_leaving_without_having_entered_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        ConnectionGate(Limits()).leave("a", "key-1")


def test_an_address_that_knocks_too_often_is_told_when_to_return() -> None:
    gate = ConnectionGate(Limits(connects_per_min=60, connect_burst=2))
    assert gate.knock("a", 0) is None
    assert gate.knock("a", 0) is None
    refusal = gate.knock("a", 0)
    assert isinstance(refusal, Refusal)
    assert refusal.retry_after_s == 1
    assert refusal.status == 429
    assert gate.knock("b", 0) is None
    assert gate.knock("a", SECOND) is None


def test_the_gate_remembers_a_bounded_number_of_addresses() -> None:
    gate = ConnectionGate(Limits(connect_burst=1))
    for number in range(MAX_TRACKED_ADDRESSES + 1):
        assert gate.knock(f"10.0.{number // 256}.{number % 256}", 0) is None
    assert len(gate._attempts) == MAX_TRACKED_ADDRESSES


@pytest.mark.parametrize("name", ["events_per_s", "idle_timeout_s", "max_sessions_per_key"])
def test_a_limit_that_is_not_positive_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be greater than 0, got 0"):
        Limits(**{name: 0})


def test_a_burst_smaller_than_one_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="byte_burst"):
        Limits(byte_burst=MIB)
