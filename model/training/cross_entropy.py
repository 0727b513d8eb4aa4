"""Cross entropy over a large vocabulary that never holds the logits of more than a few hundred rows.

`mean_cross_entropy` computes its gradients in the forward pass, chunk by chunk, so each logit is computed once. It is
for a loss that is a weighted mean, which most are. `cross_entropy_rows` gives a loss per row, for losses that are any
function of those, and computes logits again in the backward pass. Both are held to the plain formula by tests.

Matrices are multiplied in bfloat16 under autocast. Where gradients are wanted, logits then stay bfloat16 and only the
softmax over them is computed in float32: its rounding adds 0.002 at most to the loss of a row, less than that of the
logits does, and no float32 copy of a chunk is written. Without gradients losses are exact for their logits.

Shape legend: N rows, D model width, V vocabulary, C rows of a chunk.
"""

from typing import Any

import torch
from torch import Tensor

ROWS_PER_CHUNK = (
    256  # 50 MB of float32 logits over 49,152 ids; smaller chunks add into the weight's gradient more often
)


def mean_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    weights_N: Tensor | None = None,
    rows_per_chunk: int = ROWS_PER_CHUNK,
    num_frozen: int = 0,
) -> Tensor:
    """The mean of -log softmax(hidden @ weight.T)[target] over rows, weighted where `weights_N` is given.

    The first `num_frozen` rows of the weight get a gradient of zero, which saves its computation.
    """
    if weights_N is None:
        weights_N = torch.ones(len(targets_N), device=hidden_ND.device)
    share_N = weights_N.float() / weights_N.sum().clamp_min(torch.finfo(torch.float32).tiny)
    loss: Tensor = _MeanCrossEntropy.apply(hidden_ND, weight_VD, targets_N, share_N, rows_per_chunk, num_frozen)
    return loss


def cross_entropy_rows(
    hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, rows_per_chunk: int = ROWS_PER_CHUNK
) -> Tensor:
    """-log softmax(hidden @ weight.T)[target] of each row, float32 [N]."""
    losses_N: Tensor = _CrossEntropyRows.apply(hidden_ND, weight_VD, targets_N, rows_per_chunk)
    return losses_N


def compute_dtype(hidden: Tensor) -> torch.dtype:
    """What autocast would multiply in here."""
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def losses_of(logits_CV: Tensor, targets_C: Tensor) -> Tensor:
    """-log softmax[target] of each row, float32 [C]."""
    return -torch.log_softmax(logits_CV, dim=-1, dtype=torch.float32).gather(1, targets_C[:, None]).squeeze(1)


def losses_and_gradient(logits_CV: Tensor, targets_C: Tensor) -> tuple[Tensor, Tensor]:
    """Losses float32 [C], and their derivative by the logits: softmax less one-hot."""
    if logits_CV.dtype is torch.float32:
        losses_C = losses_of(logits_CV, targets_C)
        gradient_CV = torch.softmax(logits_CV, dim=-1)
    else:
        gradient_CV = torch.softmax(logits_CV, dim=-1)
        chosen_C = gradient_CV.gather(1, targets_C[:, None]).squeeze(1).float()
        losses_C = -chosen_C.clamp_min(torch.finfo(torch.float32).tiny).log()
    gradient_CV[torch.arange(len(targets_C), device=targets_C.device), targets_C] -= 1.0
    return losses_C, gradient_CV


class _MeanCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, share_N: Tensor, rows: int, num_frozen: int
    ) -> Tensor:
        dtype = compute_dtype(hidden_ND)
        weight = weight_VD.to(dtype)
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        hidden_grad = torch.empty_like(hidden_ND) if needs_hidden else None
        weight_grad = torch.zeros_like(weight_VD) if needs_weight else None
        loss = torch.zeros((), device=hidden_ND.device)
        with torch.autocast(hidden_ND.device.type, enabled=False):
            for begin in range(0, len(hidden_ND), rows):
                part = slice(begin, begin + rows)
                hidden, targets, share = hidden_ND[part].to(dtype), targets_N[part], share_N[part]
                logits_CV = hidden @ weight.T
                if hidden_grad is None and weight_grad is None:
                    loss += (losses_of(logits_CV, targets) * share).sum()
                    continue
                losses_C, gradient_CV = losses_and_gradient(logits_CV, targets)
                loss += (losses_C * share).sum()
                if hidden_grad is not None:
                    hidden_grad[part] = (gradient_CV @ weight) * share[:, None]
                if weight_grad is not None:
                    weight_grad[num_frozen:] += gradient_CV[:, num_frozen:].T @ (hidden * share[:, None]).to(dtype)
        ctx.hidden_grad, ctx.weight_grad = hidden_grad, weight_grad
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, weight_grad = ctx.hidden_grad, ctx.weight_grad
        ctx.hidden_grad = ctx.weight_grad = None  # scaled in place, so usable once
        return (
            None if hidden_grad is None else hidden_grad.mul_(grad),
            None if weight_grad is None else weight_grad.mul_(grad),
            *(None,) * 4,
        )


class _CrossEntropyRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, rows: int) -> Tensor:
        dtype = compute_dtype(hidden_ND)
        weight = weight_VD.to(dtype)
        losses_N = torch.empty(len(hidden_ND), device=hidden_ND.device)
        with torch.autocast(hidden_ND.device.type, enabled=False):
            for begin in range(0, len(hidden_ND), rows):
                part = slice(begin, begin + rows)
                losses_N[part] = losses_of(hidden_ND[part].to(dtype) @ weight.T, targets_N[part])
        ctx.save_for_backward(hidden_ND, weight_VD, targets_N)
        ctx.rows, ctx.dtype = rows, dtype
        return losses_N

    @staticmethod
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor | None, ...]:
        hidden_ND, weight_VD, targets_N = ctx.saved_tensors
        dtype, rows = ctx.dtype, ctx.rows
        weight = weight_VD.to(dtype)
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        hidden_grad = torch.empty_like(hidden_ND) if needs_hidden else None
        weight_grad = torch.zeros_like(weight_VD) if needs_weight else None
        for begin in range(0, len(hidden_ND), rows):
            part = slice(begin, begin + rows)
            hidden, targets, grad = hidden_ND[part].to(dtype), targets_N[part], grad_N[part, None]
            _, gradient_CV = losses_and_gradient(hidden @ weight.T, targets)
            if hidden_grad is not None:
                hidden_grad[part] = (gradient_CV @ weight) * grad
            if weight_grad is not None:
                weight_grad += gradient_CV.T @ (hidden * grad).to(dtype)
        return hidden_grad, weight_grad, None, None
