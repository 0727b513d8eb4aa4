import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from model.training.cross_entropy import cross_entropy_rows, mean_cross_entropy


def inputs(rows: int = 10, width: int = 6, vocab: int = 17, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn((rows, width), generator=generator, requires_grad=True)
    weight = torch.randn((vocab, width), generator=generator, requires_grad=True)
    targets = torch.randint(vocab, (rows,), generator=generator)
    return hidden, weight, targets, torch.rand(rows, generator=generator)


def plain(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy((hidden @ weight.T).float(), targets, reduction="none")


@given(rows=st.integers(1, 9), chunk=st.integers(1, 10), seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_mean_and_its_gradients_equal_the_plain_formula(rows: int, chunk: int, seed: int) -> None:
    hidden, weight, targets, shares = inputs(rows, seed=seed)
    expected = (plain(hidden, weight, targets) * shares).sum() / shares.sum()
    expected_grads = torch.autograd.grad(3 * expected, (hidden, weight))
    loss = mean_cross_entropy(hidden, weight, targets, shares, rows_per_chunk=chunk)
    grads = torch.autograd.grad(3 * loss, (hidden, weight))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(grads, expected_grads)


@given(rows=st.integers(1, 9), chunk=st.integers(1, 10), seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_losses_of_rows_and_their_gradients_equal_the_plain_formula(rows: int, chunk: int, seed: int) -> None:
    hidden, weight, targets, shares = inputs(rows, seed=seed)
    expected_grads = torch.autograd.grad((plain(hidden, weight, targets).sin() * shares).sum(), (hidden, weight))
    losses = cross_entropy_rows(hidden, weight, targets, rows_per_chunk=chunk)
    grads = torch.autograd.grad((losses.sin() * shares).sum(), (hidden, weight))
    torch.testing.assert_close(losses, plain(hidden, weight, targets))
    torch.testing.assert_close(grads, expected_grads)


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements that any operation gave out."""

    def __init__(self) -> None:
        super().__init__()
        self.num_elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor):
                self.num_elements = max(self.num_elements, tensor.numel())
        return out


@pytest.mark.parametrize("rows_of_loss", [False, True])
def test_logits_of_no_more_than_a_chunk_exist_at_once(rows_of_loss: bool) -> None:
    rows, vocab, width, chunk = 64, 500, 4, 8
    hidden, weight, targets, _ = inputs(rows, width, vocab)
    with LargestTensor() as largest:
        if rows_of_loss:
            cross_entropy_rows(hidden, weight, targets, chunk).mean().backward()
        else:
            mean_cross_entropy(hidden, weight, targets, rows_per_chunk=chunk).backward()
    assert largest.num_elements == chunk * vocab  # of rows * vocab for all logits


@pytest.mark.parametrize("learns", [(True, False), (False, True), (False, False)])
def test_frozen_side_gets_no_gradient(learns: tuple[bool, bool]) -> None:
    hidden, weight, targets, _ = inputs()
    hidden.requires_grad_(learns[0])
    weight.requires_grad_(learns[1])
    for loss in (mean_cross_entropy(hidden, weight, targets), cross_entropy_rows(hidden, weight, targets).mean()):
        assert loss.requires_grad is any(learns)
        if any(learns):
            hidden.grad = weight.grad = None
            loss.backward()
            assert (hidden.grad is not None, weight.grad is not None) == learns


def test_autocast_multiplies_in_bfloat16_and_stays_close() -> None:
    hidden, weight, targets, _ = inputs(width=32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = mean_cross_entropy(hidden, weight, targets)
        rows = cross_entropy_rows(hidden, weight, targets)
    assert loss.dtype is torch.float32
    torch.testing.assert_close(loss, plain(hidden, weight, targets).mean(), rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(rows.mean(), loss, rtol=0, atol=2e-3)  # one softmax is rounded to bfloat16
    assert not torch.equal(rows, plain(hidden, weight, targets))
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.dtype is torch.float32


def test_frozen_rows_cost_no_gradient_and_change_no_other():
    hidden, weight, targets = torch.randn(6, 8), torch.randn(20, 8), torch.randint(20, (6,))
    whole, part = weight.clone().requires_grad_(), weight.clone().requires_grad_()
    mean_cross_entropy(hidden, whole, targets).backward()
    mean_cross_entropy(hidden, part, targets, num_frozen=12).backward()
    assert whole.grad is not None
    assert part.grad is not None
    assert not part.grad[:12].any()
    assert torch.allclose(part.grad[12:], whole.grad[12:])
