import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model.training.averaging import Average
from model.training.config import LoopConfig, Schedule
from model.training.optimizer import build_optimizer, decays, rate_at, scale_and_clip, total_norm

CONFIG = LoopConfig(steps=100, warmup_steps=10, learning_rate=1.0)


def test_rate_warms_up_in_a_straight_line() -> None:
    for schedule in Schedule:
        rates = [rate_at(step, replace(CONFIG, schedule=schedule)) for step in range(10)]
        assert rates == pytest.approx([(step + 1) / 10 for step in range(10)])


def test_cosine_falls_to_nothing_by_way_of_a_half() -> None:
    config = replace(CONFIG, schedule=Schedule.COSINE)
    assert rate_at(10, config) == pytest.approx(1.0)
    assert rate_at(55, config) == pytest.approx(0.5)
    assert 0 < rate_at(99, config) < 0.001


def test_linear_tail_is_flat_and_then_straight_to_nothing() -> None:
    config = replace(CONFIG, schedule=Schedule.LINEAR_TAIL, decay_fraction=0.4)
    assert [rate_at(step, config) for step in (10, 59, 60)] == [1.0, 1.0, 1.0]
    assert rate_at(80, config) == pytest.approx(0.5)
    assert rate_at(99, config) == pytest.approx(1 / 40)


def test_constant_stays() -> None:
    config = replace(CONFIG, schedule=Schedule.CONSTANT)
    assert {rate_at(step, config) for step in range(9, 100)} == {1.0}


@given(
    schedule=st.sampled_from(Schedule),
    steps=st.integers(1, 50),
    warmup=st.integers(0, 60),
    fraction=st.floats(0.01, 1.0),
)
def test_rate_is_positive_and_never_above_its_peak(
    schedule: Schedule, steps: int, warmup: int, fraction: float
) -> None:
    config = LoopConfig(steps=steps, warmup_steps=warmup, schedule=schedule, decay_fraction=fraction, learning_rate=0.3)
    assert all(0 < rate_at(step, config) <= 0.3 + 1e-12 for step in range(steps))


def test_long_gradients_are_shortened_and_short_ones_left_alone() -> None:
    grads = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert scale_and_clip(grads, 1.0, clip_norm=10.0) == pytest.approx(5.0)
    assert grads[0].tolist() == [3.0, 0.0]
    assert scale_and_clip(grads, 2.0, clip_norm=1.0) == pytest.approx(10.0)  # scaled first
    assert total_norm(grads) == pytest.approx(1.0)
    assert grads[0][0] / grads[1][0, 0] == pytest.approx(0.75)


def test_no_clipping_where_it_is_switched_off() -> None:
    grads = [torch.full((4,), 100.0)]
    assert scale_and_clip(grads, 0.5, clip_norm=0.0) == pytest.approx(100.0)
    assert grads[0].tolist() == [50.0] * 4


def test_only_matrices_decay() -> None:
    network = nn.ModuleDict({"table": nn.Embedding(3, 4), "map": nn.Linear(4, 4), "norm": nn.LayerNorm(4)})
    network["filter"] = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 2, 3))
    assert decays(network) == {"map.weight", "filter.parametrizations.weight.original1"}


def test_frozen_weights_are_not_the_optimizers() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[0].requires_grad_(False)
    optimizer = build_optimizer(network, CONFIG)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in network[1].parameters()}


def test_average_follows_its_formula_and_forgets_the_start() -> None:
    weight = torch.zeros(1)
    average = Average({"w": weight}, decay=0.9)
    expected = 0.0
    for step in range(200):
        weight.fill_(step + 1.0)
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step + 1.0)
    assert average.tensors["w#average"].item() == pytest.approx(expected, rel=1e-5)
    assert expected == pytest.approx(200 - 0.9 / 0.1, rel=1e-3)  # a ramp's average lags by decay / (1 - decay)


def test_networks_hold_averages_inside_and_their_own_weights_after() -> None:
    weight = torch.tensor([1.0])
    average = Average({"w": weight, "count": torch.tensor(3)}, decay=0.5)
    weight.fill_(5.0)
    with average.swapped():
        assert weight.item() == 1.0
    assert weight.item() == 5.0
    assert average.tensors.keys() == {"w#average"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"ema_decay": 1.0}, "ema_decay lies between 0 and 1, got 1.0"),
        ({"decay_fraction": 0.0}, "got 0.0"),
        ({"clip_norm": -1.0}, "clip_norm cannot be negative, got -1.0"),
        ({"betas": (0.9, 1.0)}, "betas"),
    ],
)
def test_impossible_numbers_are_refused_with_the_number(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LoopConfig(**wrong)


def test_norm_of_nothing_is_nothing() -> None:
    assert total_norm([]) == 0.0
    assert math.isclose(scale_and_clip([], 3.0, 1.0), 0.0)
