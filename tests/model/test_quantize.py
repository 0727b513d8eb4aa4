"""Calibrated FP4: each method must beat the one it refines, on the measure it optimises."""

import pytest
import torch
from torch import Tensor

from model.fp4 import Fp4Format, PackedFp4, decode_scales, dequantize, quantize
from model.quantize import (
    absorb_input_error,
    column_order,
    compensate,
    descend,
    input_moment,
    inverse_factor,
    output_error,
    search_scales,
)

FORMATS = list(Fp4Format)
NVFP4 = Fp4Format.NVFP4


def problem(out: int = 48, inp: int = 96, num_tokens: int = 800) -> tuple[Tensor, Tensor]:
    """A weight and correlated inputs, some of them much more active than others."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(inp, inp, generator=generator) * 0.2 + torch.diag(torch.rand(inp, generator=generator) * 3)
    inputs = torch.randn(num_tokens, inp, generator=generator) @ mixing
    return torch.randn(out, inp, generator=generator), inputs


def assert_well_formed(packed: PackedFp4, weight: Tensor) -> None:
    assert packed.shape == tuple(weight.shape)
    assert bool(decode_scales(packed.scales, packed.format).isfinite().all())
    assert bool(dequantize(packed).isfinite().all())


@pytest.mark.parametrize("format", FORMATS)
def test_each_method_improves_on_the_one_before(format: Fp4Format) -> None:
    weight, inputs = problem()
    hessian = input_moment(inputs)
    compensated = compensate(weight, hessian, format)
    stages = [
        quantize(weight, format),
        search_scales(weight, hessian.diagonal(), format),
        compensated,
        descend(weight, compensated, hessian),
    ]
    errors = [output_error(weight, packed, hessian) for packed in stages]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.6 * errors[0]
    for packed in stages:
        assert_well_formed(packed, weight)


def test_output_error_is_the_squared_error_of_the_outputs() -> None:
    weight, inputs = problem()
    packed = quantize(weight, NVFP4)
    exact, actual = inputs.double() @ weight.double().T, inputs.double() @ dequantize(packed).double().T
    expected = ((actual - exact).square().sum() / exact.square().sum()).item()
    assert output_error(weight, packed, input_moment(inputs)) == pytest.approx(expected, rel=1e-4)


def test_moments_of_batches_add_up() -> None:
    _, inputs = problem()
    halves = inputs.reshape(2, -1, inputs.shape[-1])
    total = input_moment(halves[0]) + input_moment(halves[1])
    assert torch.allclose(total, input_moment(halves), rtol=1e-4, atol=1e-1)


def test_searched_scales_favour_the_columns_that_matter() -> None:
    weight, _ = problem(inp=32)
    importance = torch.full((32,), 1e-3)
    importance[5] = 1.0
    column_error = {
        name: (dequantize(packed) - weight)[:, 5].square().sum()
        for name, packed in {
            "even": search_scales(weight, torch.ones(32), NVFP4),
            "weighted": search_scales(weight, importance, NVFP4),
        }.items()
    }
    assert column_error["weighted"] < 0.5 * column_error["even"]


def test_diagonal_hessian_leaves_nothing_to_compensate() -> None:
    weight, _ = problem()
    rounded = compensate(weight, torch.eye(96), NVFP4)
    searched = search_scales(weight, torch.ones(96), NVFP4)
    assert torch.equal(dequantize(rounded), dequantize(searched))


def test_inputs_that_never_fire_do_no_harm() -> None:
    weight, inputs = problem()
    inputs[:, 10:20] = 0.0
    hessian = input_moment(inputs)
    packed = compensate(weight, hessian, NVFP4)
    assert_well_formed(packed, weight)
    assert output_error(weight, descend(weight, packed, hessian), hessian) < 0.01


@pytest.mark.parametrize("format", FORMATS)
def test_zero_weight_stays_zero(format: Fp4Format) -> None:
    _, inputs = problem()
    hessian = input_moment(inputs)
    packed = compensate(torch.zeros(4, 96), hessian, format)
    assert not dequantize(packed).any()
    assert not dequantize(descend(torch.zeros(4, 96), packed, hessian)).any()


def test_columns_are_ordered_by_activity_without_breaking_blocks() -> None:
    activity = torch.arange(64.0)
    order = column_order(activity, 16)
    assert order.tolist() == list(range(63, -1, -1))
    shuffled = activity[torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    blocks = (column_order(shuffled, 16) // 16).reshape(-1, 16)
    assert bool((blocks == blocks[:, :1]).all())


def test_inverse_factor_is_that_of_the_damped_inverse() -> None:
    _, inputs = problem()
    hessian = input_moment(inputs)
    factor = inverse_factor(hessian, damping=0.1).double()
    damped = hessian.double() + 0.1 * hessian.diagonal().double().mean() * torch.eye(96)
    assert torch.allclose(factor.T @ factor @ damped, torch.eye(96, dtype=torch.float64), atol=1e-3)


def test_absorbing_makes_up_for_errors_in_the_inputs() -> None:
    weight, exact = problem()
    noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(1))
    actual = exact * 0.9 + 0.3 * noise
    absorbed = absorb_input_error(weight, input_moment(actual), exact.T @ actual, damping=1e-4)
    wanted = exact @ weight.T
    assert (actual @ absorbed.T - wanted).norm() < 0.8 * (actual @ weight.T - wanted).norm()


def test_absorbing_changes_nothing_where_inputs_are_exact() -> None:
    weight, inputs = problem()
    hessian = input_moment(inputs)
    assert torch.allclose(absorb_input_error(weight, hessian, hessian), weight, atol=1e-5)
