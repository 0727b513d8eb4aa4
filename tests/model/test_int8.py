import pytest
import torch

from model.int8 import PackedInt8, pack, unpack


def test_no_weight_moves_by_more_than_half_a_step():
    weight = torch.randn(7, 5, 3, generator=torch.Generator().manual_seed(0)) * torch.logspace(-6, 3, 7)[:, None, None]
    packed = pack(weight)
    error = (unpack(packed) - weight).abs().flatten(1)
    assert (error <= 0.5001 * packed.scales[:, None]).all()
    assert packed.num_bytes == 7 * 5 * 3 + 7 * 4


def test_a_row_of_zeros_stays_one_and_does_not_disturb_the_others():
    weight = torch.tensor([[0.0, 0.0], [1.0, -127.0]])
    assert torch.equal(unpack(pack(weight)), weight)


def test_packing_what_was_packed_changes_nothing():
    once = unpack(pack(torch.randn(4, 64, generator=torch.Generator().manual_seed(1))))
    torch.testing.assert_close(unpack(pack(once)), once, rtol=1e-6, atol=0.0)


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        pack(torch.tensor([[1.0, float("nan")]]))


def test_codes_and_scales_must_belong_together():
    with pytest.raises(ValueError, match="2 rows have as many"):
        PackedInt8(torch.zeros(2, 3, dtype=torch.int8), torch.ones(3))
    with pytest.raises(ValueError, match="int8"):
        PackedInt8(torch.zeros(2, 3), torch.ones(2))
