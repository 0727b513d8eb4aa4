"""Capacity: costs are learned, unmeasured counts are bounded, and nobody is refused for ever by an old outlier."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.capacity import HISTORY_TICKS, SPARE_TICKS, Capacity, TickCosts


def make_capacity(costs_us: dict[int, int], max_sessions: int = 100) -> Capacity:
    capacity = Capacity(max_sessions)
    for num_sessions, cost_us in costs_us.items():
        capacity.learn(num_sessions, cost_us)
    return capacity


def test_before_anything_was_measured_the_slots_alone_decide() -> None:
    capacity = Capacity(max_sessions=2)
    assert [capacity.admits(count) for count in (1, 2, 3)] == [True, True, False]
    assert capacity.predict_us(1) is None
    assert not capacity.fits(1, slack_us=10**9)


def test_a_measured_count_is_admitted_within_four_fifths_of_a_tick() -> None:
    assert make_capacity({3: 200_000}).admits(3)
    assert not make_capacity({3: 200_001}).admits(3)


def test_more_sessions_than_measured_cost_at_most_in_proportion() -> None:
    capacity = make_capacity({2: 80_000})
    assert capacity.predict_us(5) == 200_000
    assert capacity.admits(5)
    assert not capacity.admits(6)


def test_fewer_sessions_than_measured_cost_no_more() -> None:
    assert make_capacity({4: 90_000}).predict_us(1) == 90_000


def test_each_further_count_that_runs_makes_the_bound_tighter() -> None:
    capacity = make_capacity({1: 60_000})
    assert not capacity.admits(4)
    capacity.learn(2, 70_000)
    assert capacity.predict_us(4) == 140_000
    assert capacity.admits(4)


def test_the_slots_are_a_hard_limit_however_cheap_ticks_are() -> None:
    capacity = make_capacity({1: 1}, max_sessions=8)
    assert capacity.admits(8)
    assert not capacity.admits(9)


def test_the_first_session_is_admitted_on_the_slowest_machine() -> None:
    capacity = make_capacity({1: 900_000})
    assert capacity.admits(1)
    assert not capacity.admits(2)


def test_a_rare_slow_tick_is_beyond_the_quantile_a_second_one_is_not() -> None:
    costs = TickCosts(quantile=0.999)
    for duration_us in [10] * (HISTORY_TICKS - 1) + [500]:
        costs.learn(1, duration_us)
    assert costs.predict_us(1) == 10
    costs.learn(1, 500)
    assert costs.predict_us(1) == 500


def test_with_hardly_any_history_the_slowest_tick_counts_and_then_it_is_left_out() -> None:
    costs = TickCosts(quantile=0.999)
    for duration_us in [70, *[10] * (SPARE_TICKS - 2)]:
        costs.learn(1, duration_us)
    assert costs.predict_us(1) == 70
    costs.learn(1, 10)
    assert costs.predict_us(1) == 10


def test_old_ticks_are_forgotten() -> None:
    costs = TickCosts(quantile=1.0)
    costs.learn(1, 900)
    costs.learn(1, 900)
    assert costs.predict_us(1) == 900
    for _ in range(HISTORY_TICKS):
        costs.learn(1, 10)
    assert costs.predict_us(1) == 10


def test_an_outlier_of_a_count_that_no_longer_runs_does_not_bar_it_for_ever() -> None:
    capacity = make_capacity({2: 900_000})
    assert not capacity.admits(2)
    capacity.learn(1, 60_000)
    assert capacity.admits(2)


def test_ticks_without_a_deadline_say_nothing_about_admission_but_about_slack() -> None:
    capacity = Capacity(max_sessions=4)
    capacity.learn(1, 900_000, live=False)
    assert capacity.admits(4)
    assert not capacity.fits(1, slack_us=899_999)
    assert capacity.fits(1, slack_us=900_000)


def test_one_long_prompt_in_twenty_ticks_does_not_bar_the_slack() -> None:
    capacity = Capacity(max_sessions=4)
    for duration_us in [20_000] * 19 + [900_000]:
        capacity.learn(1, duration_us, live=False)
    assert capacity.fits(1, slack_us=20_000)


@pytest.mark.parametrize(("num_sessions", "duration_us"), [(0, 1), (-1, 1), (1, -1)])
def test_impossible_ticks_are_refused(num_sessions: int, duration_us: int) -> None:
    with pytest.raises(ValueError, match="no tick has"):
        TickCosts(0.5).learn(num_sessions, duration_us)


@pytest.mark.parametrize("quantile", [0.0, 1.1])
def test_a_quantile_lies_between_none_and_all(quantile: float) -> None:
    with pytest.raises(ValueError, match=str(quantile)):
        TickCosts(quantile)


def test_a_server_holds_at_least_one_session() -> None:
    with pytest.raises(ValueError, match="0"):
        Capacity(0)


@given(
    ticks=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 500_000)), max_size=60),
    quantile=st.sampled_from([0.5, 0.95, 0.999, 1.0]),
)
def test_predictions_never_fall_as_sessions_are_added_and_never_rise_per_session(
    ticks: list[tuple[int, int]], quantile: float
) -> None:
    costs = TickCosts(quantile)
    for num_sessions, duration_us in ticks:
        costs.learn(num_sessions, duration_us)
    predictions = [costs.predict_us(count) for count in range(1, 12)]
    if not ticks:
        assert set(predictions) == {None}
        return
    known = [predicted for predicted in predictions if predicted is not None]
    assert known == sorted(known)
    for count, (fewer, more) in enumerate(itertools.pairwise(known), start=1):
        assert more <= -(-fewer * (count + 1) // count) + 1
