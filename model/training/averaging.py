"""An exponential moving average of weights, which is what a run evaluates and exports where it keeps one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from model.training.optimizer import local_part


class Average:
    """Follows live tensors. Floating-point buffers, such as statistics of a batch norm, are averaged like weights."""

    def __init__(self, live: Mapping[str, Tensor], decay: float) -> None:
        self._decay = decay
        self._live = {name: tensor for name, tensor in live.items() if tensor.is_floating_point()}
        self._mean = {name: tensor.detach().clone() for name, tensor in self._live.items()}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The averages by name, for a checkpoint to store and to load in place."""
        return {f"{name}#average": tensor for name, tensor in self._mean.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step`, counted from 0. Early steps weigh more, so that the start is forgotten."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(_local(self._mean), _local(self._live), 1 - decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The networks hold the averages inside, and their own weights again after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for mean, live in zip(_local(self._mean), _local(self._live), strict=True):
            kept = live.clone()
            live.copy_(mean)
            mean.copy_(kept)


def _local(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    return [local_part(tensor.detach()) for tensor in tensors.values()]
