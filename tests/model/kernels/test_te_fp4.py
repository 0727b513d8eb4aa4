"""Which weights Transformer Engine would keep as they are; the layer itself where there is a Blackwell GPU."""

import pytest
import torch

from model.fp4 import Fp4Format, PackedFp4, dequantize, quantize
from model.kernels.te_fp4 import BLACKWELL, TransformerEngineLinear, check_lossless


def random_packed(format: Fp4Format) -> PackedFp4:
    return quantize(torch.randn(64, 256, generator=torch.Generator().manual_seed(0)), format)


def test_weights_rounded_to_nearest_are_kept():
    check_lossless(random_packed(Fp4Format.NVFP4))


def test_weights_that_would_change_are_refused():
    packed = random_packed(Fp4Format.NVFP4)
    codes = packed.codes.clone()
    codes[3, 40:48] = 0x65  # a block of 3 and 4: under a scale that makes 4 a 6, 3 becomes 4.5, which E2M1 lacks
    with pytest.raises(ValueError, match="would be changed"):
        check_lossless(PackedFp4(packed.format, codes, packed.scales, packed.tensor_scale, packed.shape))
    with pytest.raises(ValueError, match="takes NVFP4"):
        check_lossless(random_packed(Fp4Format.MXFP4))


def test_another_gpu_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=r"capability 10\.0"):
        TransformerEngineLinear(random_packed(Fp4Format.NVFP4))


def test_both_operands_in_fp4_err_by_their_rounding():
    pytest.importorskip("transformer_engine", reason="Transformer Engine is not installed")
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < BLACKWELL:
        pytest.skip("NVFP4 matrix units need a Blackwell GPU")
    packed = random_packed(Fp4Format.NVFP4)
    x = torch.randn(5, 256, generator=torch.Generator().manual_seed(1)).bfloat16()
    linear = TransformerEngineLinear(packed)
    # The activations' own rounding to NVFP4, by the reference, row by row; and bfloat16's of the result.
    rounded = torch.cat([dequantize(quantize(row[None].float(), Fp4Format.NVFP4)) for row in x])
    torch.testing.assert_close(linear(x.cuda()).cpu().float(), rounded @ dequantize(packed).T, rtol=2e-2, atol=2e-2)
    assert torch.equal(linear(x[2][None].cuda())[0], linear(x.cuda())[2])
