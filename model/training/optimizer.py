"""AdamW over named parameters, its schedule, and clipping: what turns gradients into an update.

The optimizer's state exists from the start, so that a fresh run and a resumed one take the same path. Weights may be
sharded (`DTensor`); each process then updates its own part.
"""

import math
from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate

from model.training.config import LoopConfig, Schedule

MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what torch's AdamW keeps of each parameter


def rate_at(step: int, config: LoopConfig) -> float:
    """The learning rate of a step, counted from 0."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule is Schedule.CONSTANT:
        return config.learning_rate
    left = config.steps - step
    if config.schedule is Schedule.LINEAR_TAIL:
        tail = max(config.steps * config.decay_fraction, 1.0)
        return config.learning_rate * min(1.0, left / tail)
    progress = 1 - left / max(config.steps - config.warmup_steps, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def trainable(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def decays(network: nn.Module) -> set[str]:
    """Names of the parameters that weight decay is for: matrices and filters, no gains, biases or tables of ids."""
    tables = {id(p) for part in network.modules() if isinstance(part, nn.Embedding) for p in part.parameters()}
    return {
        name
        for name, parameter in network.named_parameters()
        if id(parameter) not in tables and sum(size > 1 for size in parameter.shape) > 1
    }


def build_optimizer(network: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    """AdamW over what learns in `network`, its state at zero."""
    parameters, decaying = trainable(network), decays(network)
    groups = [
        {"params": [p for name, p in parameters.items() if name in decaying], "weight_decay": config.weight_decay},
        {"params": [p for name, p in parameters.items() if name not in decaying], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], betas=config.betas, fused=True)
    for parameter in parameters.values():
        device = parameter.device
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def optimizer_tensors(optimizer: torch.optim.AdamW, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The live state by name, as a checkpoint stores it and loads it in place."""
    return {
        f"{name}#{moment}": optimizer.state[parameter][moment]
        for name, parameter in parameters.items()
        for moment in MOMENTS
    }


def gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


@torch.no_grad()
def scale_and_clip(grads: list[Tensor], scale: float, clip_norm: float) -> float:
    """Multiply gradients by `scale`, then shorten them all to `clip_norm` where they are longer.

    Returns their norm before clipping; 0 for `clip_norm` does not clip.
    """
    norm = total_norm(grads) * scale
    if clip_norm and norm > clip_norm:
        scale *= clip_norm / norm
    if scale != 1.0 and math.isfinite(scale) and grads:
        torch._foreach_mul_([local_part(grad) for grad in grads], scale)
    return norm


def total_norm(grads: list[Tensor]) -> float:
    """Euclidean norm over all gradients, each element counted once however many processes hold it."""
    if not grads:
        return 0.0
    if not any(isinstance(grad, DTensor) for grad in grads):
        return float(torch.stack(torch._foreach_norm(grads)).double().norm())
    world = dist.get_world_size()
    squares = [local_part(grad).double().square().sum() / copies(grad, world) for grad in grads]
    total = torch.stack(squares).sum()
    dist.all_reduce(total)
    return float(total.sqrt())


def copies(tensor: Tensor, world: int) -> int:
    """How many processes hold the same elements of `tensor` as this one."""
    if not isinstance(tensor, DTensor):
        return world
    distinct = 1
    for size, placement in zip(tensor.device_mesh.shape, tensor.placements, strict=True):
        if not isinstance(placement, Replicate):
            distinct *= size
    return world // distinct


def local_part(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
