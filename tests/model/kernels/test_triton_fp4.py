"""The Triton FP4 matrices against dequantized ones, and rows against company. Through the interpreter without a GPU."""

import pytest
import torch
from torch import Tensor

from model.fp4 import Fp4Format, PackedFp4, dequantize, quantize

pytest.importorskip("triton", reason="the GPU kernels need Triton: pip install 'omniweave-realtime[cuda]'")

from model.kernels.triton_fp4 import Pass, TritonLinear

# Weights are exact in bfloat16. Activations are rounded to its 8 significant bits: by at most 2^-8 of a value, evenly
# spread, so by 2^-8 / sqrt(3) = 0.23 % of their norm at worst, and the outputs with them.
BF16_ERROR = 2**-8 / 3**0.5
# With activations that bfloat16 holds exactly, only float32 sums of a few hundred products err.
FLOAT32_ERROR = 1e-6


def random_packed(out: int, inp: int, format: Fp4Format, seed: int = 0) -> PackedFp4:
    return quantize(torch.randn(out, inp, generator=torch.Generator().manual_seed(seed)) / inp**0.5, format)


def random_rows(num_rows: int, width: int, seed: int = 1) -> Tensor:
    return torch.randn(num_rows, width, generator=torch.Generator().manual_seed(seed))


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual.cpu().double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("kind", list(Pass))
@pytest.mark.parametrize("format", list(Fp4Format))
@pytest.mark.parametrize(("num_rows", "out", "inp"), [(1, 40, 64), (5, 33, 192), (19, 16, 256), (70, 136, 64)])
def test_sums_are_exact_but_for_rounding(triton_device, kind, format, num_rows, out, inp):
    packed, x = random_packed(out, inp, format), random_rows(num_rows, inp)
    linear = TritonLinear(packed).to(triton_device)
    weight = dequantize(packed).double().T
    assert relative_error(linear(x.to(triton_device), kind), x.double() @ weight) < BF16_ERROR
    rounded = x.bfloat16()
    actual = linear.multiply(rounded.to(triton_device), kind)
    assert relative_error(actual, rounded.double() @ weight) < FLOAT32_ERROR


@pytest.mark.parametrize("format", list(Fp4Format))
def test_every_code_and_scale_is_decoded(triton_device, format):
    num_scales = 127 if format is Fp4Format.NVFP4 else 240  # up to NaN; up to 2^112
    num_blocks = 64 // format.block
    codes = torch.arange(256, dtype=torch.uint8).repeat(num_scales * 32 // 256 + 1)[: num_scales * 32].view(-1, 32)
    scales = torch.arange(num_scales, dtype=torch.uint8)[:, None].repeat(1, num_blocks)
    packed = PackedFp4(format, codes, scales, torch.tensor(1.0), (num_scales, 64))
    eye = torch.eye(64, dtype=torch.bfloat16, device=triton_device)
    actual = TritonLinear(packed).to(triton_device).multiply(eye, Pass.PREFILL).T.cpu()
    # bfloat16 holds every product; those of the smallest scales, below its normal range, may become zero.
    torch.testing.assert_close(actual, dequantize(packed), rtol=0, atol=2.0**-126)


@pytest.mark.parametrize("kind", list(Pass))
@pytest.mark.parametrize("format", list(Fp4Format))
def test_a_row_is_the_same_in_every_batch_and_place(triton_device, kind, format):
    linear = TritonLinear(random_packed(80, 192, format)).to(triton_device)
    x = random_rows(37, 192).to(triton_device)
    alone = torch.cat([linear(row[None], kind) for row in x])
    for size in (3, 16, 17, 37):
        assert torch.equal(torch.cat([linear(part, kind) for part in x.split(size)]), alone), f"batches of {size}"


def test_wide_inputs_are_summed_in_fixed_parts(triton_device):
    packed = random_packed(16, 4096, Fp4Format.NVFP4)
    linear = TritonLinear(packed).to(triton_device)
    assert linear.num_splits(linear.tile(Pass.DECODE)) == 4
    x, residual = random_rows(3, 4096).bfloat16().to(triton_device), random_rows(3, 16, seed=2).to(triton_device)
    together = linear.multiply(x, Pass.DECODE, residual)
    expected = residual.cpu().double() + x.cpu().double() @ dequantize(packed).double().T
    assert relative_error(together, expected) < FLOAT32_ERROR
    alone = [linear.multiply(x[row][None], Pass.DECODE, residual[row][None]) for row in range(3)]
    assert torch.equal(torch.cat(alone), together)


def test_stacked_matrices_keep_their_own_tensor_scales(triton_device):
    first, second = (random_packed(out, 64, Fp4Format.NVFP4, seed) for out, seed in ((24, 3), (40, 4)))
    second = PackedFp4(second.format, second.codes, second.scales, second.tensor_scale * 3, second.shape)
    x = random_rows(2, 64).to(triton_device)
    apart = [TritonLinear(packed).to(triton_device)(x) for packed in (first, second)]
    assert torch.equal(TritonLinear(first, second).to(triton_device)(x), torch.cat(apart, dim=1))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_spoils_its_own_row_only(triton_device, bad):
    linear = TritonLinear(random_packed(32, 64, Fp4Format.MXFP4)).to(triton_device)
    x = random_rows(3, 64).to(triton_device)
    clean = linear(x)
    x[1, 40] = bad
    spoiled = linear(x)
    assert not spoiled[1].isfinite().any()
    assert torch.equal(spoiled[[0, 2]], clean[[0, 2]])


def test_a_call_keeps_dtype_and_leading_dimensions(triton_device):
    linear = TritonLinear(random_packed(32, 64, Fp4Format.NVFP4)).to(triton_device)
    x = random_rows(6, 64).bfloat16().to(triton_device)
    assert linear(x.view(2, 3, 64)).shape == (2, 3, 32)
    assert linear(x).dtype == torch.bfloat16
    assert linear(x[:0]).shape == (0, 32)


def test_what_the_kernel_cannot_run_is_refused(triton_device):
    with pytest.raises(ValueError, match="divisible by 64, not 96"):
        TritonLinear(random_packed(16, 96, Fp4Format.NVFP4))
    with pytest.raises(ValueError, match="one format"):
        TritonLinear(random_packed(16, 64, Fp4Format.NVFP4), random_packed(16, 64, Fp4Format.MXFP4))
    nan_scale = random_packed(16, 64, Fp4Format.NVFP4)
    nan_scale.scales[3, 1] = 0x7F
    with pytest.raises(ValueError, match="not a number"):
        TritonLinear(nan_scale)
    with pytest.raises(ValueError, match=r"bfloat16 \[N, 64\]"):
        TritonLinear(random_packed(16, 64, Fp4Format.NVFP4)).multiply(torch.zeros(1, 65).bfloat16(), Pass.DECODE)
