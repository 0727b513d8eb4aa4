"""Starting weights from a seed: the same bits on every machine, whatever was built before.

`init_weights(module, seed)` sets every parameter and buffer of `module` from `seed` and each part's path inside
`module`, so parts that were never trained need not be stored: they are built again. It never touches the global
generator.

Draws are uniform, not normal: a uniform draw is exact arithmetic on the generator's bits, while the vectorised
logarithm and cosine of a normal draw differ between processors in the last bit.
"""

import hashlib
import math
from typing import Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn.utils import parametrize

EMBEDDING_STD = 0.02  # GPT-2, section 2.3 of its code release; small beside the unit variance of normalised activations


@runtime_checkable
class InitsItself(Protocol):
    """A module whose own parameters or buffers (not its children's) need more than the rules below."""

    def init_own(self, generator: torch.Generator) -> None: ...


def init_weights(module: nn.Module, seed: int) -> None:
    """Set all weights of `module`. Call it before `fold_weight_norm`, and on a module that has memory (not meta)."""
    for path, part in module.named_modules():
        if "parametrizations" in path.split("."):
            continue  # written through the weight of the module that owns it
        _init_part(path, part, generator_for(seed, path))


def generator_for(seed: int, path: str) -> torch.Generator:
    """A generator of its own for each part, so that adding or reordering parts leaves the others' draws alone."""
    digest = hashlib.blake2b(f"{seed}:{path}".encode(), digest_size=4).digest()  # the CPU generator uses 32 seed bits
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


@torch.no_grad()
def draw(tensor: torch.Tensor, std: float, generator: torch.Generator) -> None:
    """Fill `tensor` with zero-mean uniform draws of standard deviation `std`."""
    unit = torch.rand(tensor.shape, generator=generator, dtype=torch.float32)  # [0, 1), exact multiples of 2**-24
    tensor.copy_(unit.sub_(0.5).mul_(std * math.sqrt(12.0)))


@torch.no_grad()
def _init_part(path: str, part: nn.Module, generator: torch.Generator) -> None:
    if isinstance(part, InitsItself):
        part.init_own(generator)
    elif isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d):
        _init_weighted(part, generator)
    elif isinstance(part, nn.Embedding):
        draw(part.weight, EMBEDDING_STD, generator)
    elif isinstance(part, nn.LSTM):
        for _, parameter in sorted(part.named_parameters()):
            draw(parameter, (3 * part.hidden_size) ** -0.5, generator)  # uniform in ±1/sqrt(hidden), torch's own rule
    elif isinstance(part, nn.LayerNorm | nn.GroupNorm | nn.RMSNorm | nn.BatchNorm1d):
        part.reset_parameters()  # ones and zeros: no draw
    elif any(True for _ in part.parameters(recurse=False)) or any(True for _ in part.buffers(recurse=False)):
        raise TypeError(f"no rule for the weights of {type(part).__name__} at {path!r}: give it an init_own")


def _init_weighted(part: nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d, generator: torch.Generator) -> None:
    """Variance 1/fan-in keeps a unit-variance input at unit variance."""
    shape = part.weight.shape
    fan_in = math.prod(shape[1:])
    if isinstance(part, nn.ConvTranspose1d):  # [in, out, kernel]; each output sees kernel/stride taps of every input
        fan_in = shape[0] * shape[2] / part.stride[0]
    weight = torch.empty(shape, device=part.weight.device, dtype=part.weight.dtype)
    draw(weight, fan_in**-0.5, generator)
    if parametrize.is_parametrized(part, "weight"):
        part.weight = weight  # weight norm splits it into length and direction
    else:
        part.weight.copy_(weight)
    if part.bias is not None:
        part.bias.zero_()
