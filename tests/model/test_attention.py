import pytest
import torch

from model.attention import LONGEST_BY_PRODUCTS, attend, attend_by_products


def inputs(dtype: torch.dtype, time: int = 7) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, time, 6, 8), (2, time, 2, 8), (2, time, 2, 8))
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def masks() -> list[torch.Tensor | None]:
    mask = (torch.rand((2, 7, 7), generator=torch.Generator().manual_seed(1)) < 0.5) | torch.eye(7, dtype=torch.bool)
    return [None, mask]


@pytest.mark.parametrize("mask_BTT", masks(), ids=["causal", "masked"])
def test_products_equal_the_fused_kernel_with_gradients(mask_BTT: torch.Tensor | None) -> None:
    parts = inputs(torch.float32)
    fused, products = attend(*parts, mask_BTT), attend_by_products(*parts, mask_BTT)
    torch.testing.assert_close(products, fused)
    direction = torch.randn_like(fused)
    torch.testing.assert_close(
        torch.autograd.grad(products, parts, direction), torch.autograd.grad(fused, parts, direction)
    )


def test_training_in_bfloat16_on_the_cpu_takes_the_products_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    monkeypatch.setattr("model.attention.attend_by_products", lambda q, k, v, mask: calls.append(q.dtype) or q)
    attend(*inputs(torch.float32), None)
    attend(*(part.detach() for part in inputs(torch.bfloat16)), None)
    attend(*inputs(torch.bfloat16, LONGEST_BY_PRODUCTS + 1), None)
    assert calls == []
    attend(*inputs(torch.bfloat16), None)
    assert calls == [torch.bfloat16]


def test_position_that_sees_nothing_is_finite() -> None:
    mask = torch.zeros((2, 7, 7), dtype=torch.bool)
    out = attend(*inputs(torch.bfloat16), mask)
    out.sum().backward()
    assert bool(out.isfinite().all())
