"""FP4 reference arithmetic: rounding, scales, layout, exactness."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch import Tensor

from model.fp4 import (
    E2M1_MAGNITUDES,
    Fp4Format,
    Fp4Linear,
    PackedFp4,
    decode_scales,
    dequantize,
    dequantize_rows,
    e2m1_encode,
    e2m1_values,
    fake_quantize,
    pack_nibbles,
    quantize,
    quantize_with_scales,
    unpack_nibbles,
)

FORMATS = list(Fp4Format)
NVFP4, MXFP4 = Fp4Format.NVFP4, Fp4Format.MXFP4


def weights(max_magnitude: float = 2.0**100) -> st.SearchStrategy[Tensor]:
    """Matrices of any magnitude, with zeros, whole blocks of zeros and subnormals among them."""
    shapes = st.tuples(st.integers(1, 3), st.sampled_from([32, 64]))
    elements = st.floats(-max_magnitude, max_magnitude, width=32)
    return npst.arrays(np.float32, shapes, elements=elements).map(torch.from_numpy)


def random_weight(out: int = 8, inp: int = 64) -> Tensor:
    return torch.randn(out, inp, generator=torch.Generator().manual_seed(0))


# --- elements --------------------------------------------------------------------------------------------------------


def test_every_code_encodes_its_own_value() -> None:
    codes = e2m1_encode(e2m1_values())
    positive_zero = 0
    expected = [code if code != 8 else positive_zero for code in range(16)]
    assert codes.tolist() == expected


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.25, 0.0), (0.75, 1.0), (1.25, 1.0), (1.75, 2.0), (2.5, 2.0), (3.5, 4.0), (5.0, 4.0)]
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_ties_go_to_the_even_code(value: float, rounded: float, sign: float) -> None:
    code = e2m1_encode(torch.tensor([sign * value], dtype=torch.float64))
    assert e2m1_values()[code.int()].tolist() == [sign * rounded]


@given(st.floats(-100.0, 100.0, width=32))
def test_no_other_code_is_nearer(value: float) -> None:
    chosen = e2m1_values()[int(e2m1_encode(torch.tensor([value]))[0])].item()
    clipped = max(-6.0, min(6.0, value))
    assert abs(chosen - clipped) == min(abs(sign * m - clipped) for m in E2M1_MAGNITUDES for sign in (1.0, -1.0))


@given(
    npst.arrays(
        np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 8).map(lambda n: 2 * n)), elements=st.integers(0, 15)
    )
)
def test_nibbles_survive_packing(codes: np.ndarray) -> None:
    unpacked = torch.from_numpy(codes)
    assert torch.equal(unpack_nibbles(pack_nibbles(unpacked)), unpacked)


def test_even_input_is_the_low_nibble() -> None:
    assert pack_nibbles(torch.tensor([[0x1, 0xA]], dtype=torch.uint8)).tolist() == [[0xA1]]


# --- scales ----------------------------------------------------------------------------------------------------------


def test_e4m3_scales_decode_to_their_values() -> None:
    bits = torch.tensor([0x00, 0x01, 0x08, 0x38, 0x7E], dtype=torch.uint8)
    assert decode_scales(bits, NVFP4).tolist() == [0.0, 2.0**-9, 2.0**-6, 1.0, 448.0]


def test_e8m0_scales_are_powers_of_two_and_255_is_nan() -> None:
    values = decode_scales(torch.tensor([0, 126, 127, 254, 255], dtype=torch.uint8), MXFP4)
    assert values[:4].tolist() == [2.0**-127, 0.5, 1.0, 2.0**127]
    assert values[4].isnan()


def test_nvfp4_maps_the_largest_magnitude_to_the_largest_of_everything() -> None:
    weight = random_weight()
    weight[3, 17] = -20.0
    packed = quantize(weight, NVFP4)
    assert decode_scales(packed.scales, NVFP4).max() == 448.0
    assert dequantize(packed)[3, 17].item() == pytest.approx(-20.0, rel=1e-6)


def test_mxfp4_scale_is_the_exponent_of_the_largest_less_two() -> None:
    weight = torch.zeros(1, 32)
    weight[0, 5] = 7.9  # floor(log2) is 2, so the scale is 1 and the element saturates at 6
    packed = quantize(weight, MXFP4)
    assert decode_scales(packed.scales, MXFP4).tolist() == [[1.0]]
    assert dequantize(packed)[0, 5] == 6.0


# --- matrices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@given(weight=weights())
def test_dequantized_values_quantize_to_themselves_under_the_same_scales(format: Fp4Format, weight: Tensor) -> None:
    packed = quantize(weight, format)
    again = quantize_with_scales(dequantize(packed), format, packed.scales, packed.tensor_scale)
    assert torch.equal(again.codes, packed.codes)


@given(weight=weights(), exponent=st.integers(-20, 20))
def test_mxfp4_commutes_with_powers_of_two(weight: Tensor, exponent: int) -> None:
    weight = torch.where(weight.abs() < 1e-20, 0.0, weight)  # away from the smallest scales
    scaled = dequantize(quantize(weight * 2.0**exponent, MXFP4))
    assert torch.equal(scaled, dequantize(quantize(weight, MXFP4)) * 2.0**exponent)


@pytest.mark.parametrize("format", FORMATS)
@given(weight=weights())
def test_signs_flip_with_the_weight(format: Fp4Format, weight: Tensor) -> None:
    assert torch.equal(dequantize(quantize(-weight, format)), -dequantize(quantize(weight, format)))


@given(weight=weights())
def test_nvfp4_error_stays_within_a_quarter_of_the_largest_in_the_block(weight: Tensor) -> None:
    blocks = weight.reshape(-1, 16)
    error = (dequantize(quantize(weight, NVFP4)) - weight).reshape(-1, 16).abs().amax(dim=1)
    smallest_scale = weight.abs().max() / 448.0 * 2.0**-9  # below it a block may vanish
    assert bool((error <= blocks.abs().amax(dim=1) / 4 + smallest_scale).all())


@pytest.mark.parametrize(("format", "expected"), [(NVFP4, 0.095), (MXFP4, 0.115)])
def test_error_on_gaussian_weights_is_what_the_format_can_do(format: Fp4Format, expected: float) -> None:
    weight = random_weight(256, 256)
    error = (dequantize(quantize(weight, format)) - weight).norm() / weight.norm()
    assert error.item() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("format", FORMATS)
def test_zero_stays_zero(format: Fp4Format) -> None:
    assert not dequantize(quantize(torch.zeros(2, 32), format)).any()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weight_that_is_not_finite_is_refused(format: Fp4Format, bad: float) -> None:
    weight = random_weight()
    weight[1, 1] = bad
    with pytest.raises(ValueError, match="finite"):
        quantize(weight, format)


@pytest.mark.parametrize(("format", "inp"), [(NVFP4, 24), (MXFP4, 48), (MXFP4, 0)])
def test_broken_block_is_refused(format: Fp4Format, inp: int) -> None:
    with pytest.raises(ValueError, match=f"divisible by {format.block}, not {inp}"):
        quantize(torch.zeros(2, inp), format)


def test_only_matrices_are_quantized() -> None:
    with pytest.raises(ValueError, match="two dimensions"):
        quantize(torch.zeros(64), NVFP4)


def test_packed_parts_must_fit_each_other() -> None:
    packed = quantize(random_weight(), NVFP4)
    with pytest.raises(ValueError, match="scales of a nvfp4 weight"):
        PackedFp4(NVFP4, packed.codes, packed.scales[:, :1], packed.tensor_scale, packed.shape)


@pytest.mark.parametrize("format", FORMATS)
def test_rows_equal_rows_of_the_whole(format: Fp4Format) -> None:
    packed = quantize(random_weight(), format)
    rows = torch.tensor([[5, 0], [5, 7]])
    assert torch.equal(dequantize_rows(packed, rows), dequantize(packed)[rows])


@pytest.mark.parametrize("format", FORMATS)
def test_packed_size_is_four_bits_and_a_scale_a_block(format: Fp4Format) -> None:
    packed = quantize(random_weight(8, 64), format)
    assert packed.num_bytes == 8 * 64 // 2 + 8 * 64 // format.block + 4


# --- layers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_linear_multiplies_by_the_dequantized_weight(format: Fp4Format) -> None:
    packed = quantize(random_weight(), format)
    x = torch.randn(3, 5, 64, generator=torch.Generator().manual_seed(1))
    layer = Fp4Linear(packed)
    assert torch.equal(layer(x), x @ dequantize(packed).T)
    assert torch.equal(layer.expand()(x), layer(x))


def test_layer_expanded_to_bfloat16_stays_close_and_keeps_the_dtype() -> None:
    layer = Fp4Linear(quantize(random_weight(), NVFP4))
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(1))
    expanded = layer.expand(torch.bfloat16)(x)
    assert expanded.dtype == torch.float32
    assert torch.allclose(expanded, layer(x), atol=0.2)


def test_layer_travels_through_its_state() -> None:
    layer = Fp4Linear(quantize(random_weight(), NVFP4))
    other = Fp4Linear(quantize(torch.zeros(8, 64), NVFP4))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(dequantize(other.packed), dequantize(layer.packed))


def test_fake_quantize_rounds_forward_and_passes_gradients_straight_through() -> None:
    weight = random_weight().requires_grad_()
    rounded = fake_quantize(weight, NVFP4)
    assert torch.allclose(rounded, dequantize(quantize(weight, NVFP4)), atol=1e-6)
    upstream = random_weight() + 1.0
    rounded.backward(upstream)
    assert weight.grad is not None
    assert torch.equal(weight.grad, upstream)
