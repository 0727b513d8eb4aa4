"""Which batches a step takes, and the random state each is drawn and learned under: functions of numbers alone."""

import random
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

AnyT = TypeVar("AnyT")


def batch_indices(step: int, micro_batches: int, data_rank: int, num_data_ranks: int) -> list[int]:
    """The batches of one process in a step. Together, all processes of a step take neighbouring ones."""
    first = step * micro_batches * num_data_ranks + data_rank
    return [first + micro_batch * num_data_ranks for micro_batch in range(micro_batches)]


def seed_everything(seed: int, *numbers: int) -> None:
    """Set torch's, numpy's and Python's generators from the run's seed and what is about to be drawn for."""
    words = np.random.SeedSequence([seed, *(number & 0xFFFF_FFFF for number in numbers)]).generate_state(3)
    torch.manual_seed(int(words[0]))
    np.random.seed(int(words[1]))  # libraries below a stage may still draw from the global one
    random.seed(int(words[2]))


def to_device(batch: AnyT, device: torch.device) -> AnyT:
    """A batch with its tensors on `device`: tensors, or dataclasses, tuples, lists and dicts of them."""
    if device.type == "cpu":
        return batch
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, tuple | list):
        return type(batch)(to_device(item, device) for item in batch)
    if isinstance(batch, dict):
        return {key: to_device(item, device) for key, item in batch.items()}
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{f.name: to_device(getattr(batch, f.name), device) for f in fields(batch)})
    return batch
