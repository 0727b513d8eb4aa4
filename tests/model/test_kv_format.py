"""Keys and values in int8: how far they err, and what cannot be stored."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.kv_format import LARGEST_STEP, SMALLEST_MAGNITUDE, KvFormat, get, put, quantize_kv

numbers = st.floats(-1e4, 1e4, width=32)


@given(arrays(np.float32, (3, 16), elements=numbers))
def test_each_element_errs_by_half_a_step_at_most(values: np.ndarray):
    x = torch.from_numpy(values)
    steps, scale = quantize_kv(x)
    error = (steps.double() * scale.double()[:, None] - x.double()).abs()
    rounding_of_the_scale = 1 + 3 * 2.0**-24 * LARGEST_STEP
    assert bool((error <= rounding_of_the_scale * scale.double()[:, None] / 2 + SMALLEST_MAGNITUDE).all())
    assert int(steps.abs().max()) in (0, LARGEST_STEP)


def test_a_vector_s_scale_is_its_own():
    x = torch.tensor([[1.0, -0.5], [1e-3, 5e-4], [0.0, 0.0], [1e-31, 0.0]])
    steps, scale = quantize_kv(x)
    assert steps.tolist() == [[127, -64], [127, 64], [0, 0], [0, 0]]
    torch.testing.assert_close(scale, torch.tensor([1 / 127, 1e-3 / 127, 0.0, 0.0]))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_spoils_its_own_vector_only(bad: float):
    steps, scale = quantize_kv(torch.tensor([[1.0, bad], [1.0, 2.0]]))
    assert scale.isnan().tolist() == [True, False]
    assert steps.tolist() == [[0, 0], [64, 127]]


@pytest.mark.parametrize("kv_format", list(KvFormat))
def test_what_is_put_is_got_back_rounded(kv_format: KvFormat):
    stored = torch.zeros(2, 3, 8, dtype=kv_format.dtype)
    scale = torch.zeros(2, 3) if kv_format is KvFormat.INT8 else None
    x = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    at = (slice(None), 1)
    put(stored, scale, at, x)
    # Half a step of 127 to the largest, or half of the last of bfloat16's 8 bits.
    largest_error = x.abs().amax(-1, keepdim=True) / 254 if kv_format is KvFormat.INT8 else x.abs() * 2**-8
    assert bool(((get(stored, scale, at, torch.float32) - x).abs() <= largest_error * 1.001).all())
    assert not stored[:, [0, 2]].any()
