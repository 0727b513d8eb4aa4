"""Sampling: a pure function of its coordinates, with the distribution it claims."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.sampling import draw, penalize_, uniform
from streams.types import Sampling

GREEDY = Sampling(temperature=0.0)
PLAIN = Sampling(temperature=1.0, top_k=0, top_p=1.0)
coordinate = st.integers(0, 2**63)


@given(coordinate, coordinate, st.integers(0, 100), st.integers(0, 40))
def test_randomness_is_a_function_of_its_coordinates(seed, tick, step, head):
    value = uniform(seed, tick, step, head)
    assert 0.0 <= value < 1.0
    assert value == uniform(seed, tick, step, head)
    assert value != uniform(seed, tick, step, head + 1)


def test_draws_over_ticks_are_uniform():
    values = torch.tensor([uniform(1, tick, step, 0) for tick in range(1000) for step in range(8)])
    counts = torch.histc(values, bins=16, min=0, max=1)
    expected = len(values) / 16
    chi_square = ((counts - expected).square() / expected).sum()
    assert chi_square < 37.7  # 99.9 % point of chi-square with 15 degrees of freedom


def test_temperature_zero_takes_the_most_likely():
    assert draw(torch.tensor([0.0, 3.0, 1.0]), GREEDY, 0.99) == 1


def test_draws_follow_the_softmax():
    logits = torch.tensor([0.5, 0.1, 0.25, 0.15]).log()
    counts = torch.zeros(4)
    for step in range(4000):
        counts[draw(logits, PLAIN, uniform(7, 0, step, 0))] += 1
    torch.testing.assert_close(counts / 4000, logits.exp(), atol=0.03, rtol=0)


def test_top_k_and_top_p_leave_out_the_tail():
    logits = torch.tensor([0.5, 0.1, 0.25, 0.15]).log()
    grid = [index / 200 for index in range(200)]
    assert {draw(logits, Sampling(1.0, top_k=2, top_p=1.0), at) for at in grid} == {0, 2}
    assert {draw(logits, Sampling(1.0, top_k=0, top_p=0.7), at) for at in grid} == {0, 2}


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_equal_logits_are_drawn_by_id_whatever_the_truncation(count, at):
    logits = torch.zeros(count)
    whole = Sampling(1.0, top_k=0, top_p=1.0)
    truncated = Sampling(1.0, top_k=count, top_p=1.0)
    assert draw(logits, whole, at) == draw(logits, truncated, at)


@pytest.mark.parametrize("logits", [[float("nan"), 1.0], [1.0, float("nan"), 0.0], [float("-inf")] * 2])
def test_logits_without_meaning_are_refused(logits):
    with pytest.raises(ValueError, match="no token can be drawn"):
        draw(torch.tensor(logits), PLAIN, 0.5)
    with pytest.raises(ValueError, match="no token can be drawn"):
        draw(torch.tensor(logits), Sampling(1.0, top_k=1, top_p=1.0), 0.5)


def test_a_penalty_makes_what_was_drawn_less_likely_and_nothing_else():
    logits = torch.tensor([2.0, -2.0, 3.0])
    penalize_(logits, {0, 1}, 1.0)
    assert logits.tolist() == [2.0, -2.0, 3.0]
    penalize_(logits, {0, 1}, 2.0)
    assert logits.tolist() == [1.0, -4.0, 3.0]
