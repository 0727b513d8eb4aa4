"""Training through the four-bit grid: chosen weights are rounded to FP4 wherever they are used, gradients pass through.

What learns is the full-precision weight behind the grid. `stored_tensors` gives what serving loads: for each such
weight the packed FP4 tensor whose values are, to the bit, those that training and evaluation last saw.
"""

from contextlib import AbstractContextManager

from torch import Tensor, nn
from torch.nn.utils import parametrize

from model.checkpoint import Stored, is_quantizable
from model.fp4 import Fp4Format, fake_quantize, quantize
from model.network import Network
from model.training.shards import saved_buffers

WEIGHT = "weight"
ORIGINAL = "parametrizations.weight.original"  # where torch keeps the weight behind a parametrization


class Fp4Grid(nn.Module):
    """A weight [out, in] to the nearest values of its format."""

    def __init__(self, format: Fp4Format) -> None:
        super().__init__()
        self.format = format

    def forward(self, weight: Tensor) -> Tensor:
        return fake_quantize(weight, self.format)


def chosen_modules(root: nn.Module, format: Fp4Format) -> list[nn.Module]:
    """The layers below `root` that train on the grid.

    Of a whole model those that serving stores in FP4; of any other network its linear layers of fitting width.
    """
    chosen: list[nn.Module] = []
    models = [part for part in root.modules() if isinstance(part, Network)]
    inside = {id(part) for model in models for part in model.modules()}
    for model in models:
        for name, part in model.named_modules():
            fits = isinstance(part, nn.Linear | nn.Embedding)
            if fits and is_quantizable(f"{name}.{WEIGHT}", tuple(part.weight.shape), format):
                chosen.append(part)
    others = [part for part in root.modules() if isinstance(part, nn.Linear) and id(part) not in inside]
    return chosen + [p for p in others if p.in_features % format.block == 0 and not parametrize.is_parametrized(p)]


def attach_grid(root: nn.Module, format: Fp4Format) -> None:
    """Put the chosen weights below `root` on the grid. Raises ValueError where there is none."""
    chosen = chosen_modules(root, format)
    if not chosen:
        raise ValueError(f"no layer has a width that {format.value} divides into blocks of {format.block}")
    for part in chosen:
        # Unsafe skips a trial of the grid's shape and type, which are the weight's own.
        parametrize.register_parametrization(part, WEIGHT, Fp4Grid(format), unsafe=True)


def grid_computed_once() -> AbstractContextManager[None]:
    """Inside, each weight is rounded at its first use only. It must not change there."""
    context: AbstractContextManager[None] = parametrize.cached()
    return context


def stored_tensors(network: nn.Module) -> dict[str, Stored]:
    """Parameters and buffers by their plain names, those on the grid packed: what a stage's export saves."""
    grids = {f"{path}.": grid for path, part in network.named_modules() if (grid := grid_of(part)) is not None}
    tensors: dict[str, Stored] = {}
    for name, parameter in network.named_parameters():
        path = name.removesuffix(ORIGINAL)
        if path in grids:
            tensors[path + WEIGHT] = quantize(parameter, grids[path].format)
        else:
            tensors[name] = parameter.detach()
    return tensors | saved_buffers(network)


def grid_of(part: nn.Module) -> Fp4Grid | None:
    """The grid of a layer's weight; None where it has none."""
    if not parametrize.is_parametrized(part, WEIGHT):
        return None
    first = part.parametrizations[WEIGHT][0]
    return first if isinstance(first, Fp4Grid) else None
