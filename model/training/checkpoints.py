"""The checkpoints of one run: each a directory that is there whole or not at all.

A checkpoint is written under another name, flushed to the disk and renamed. The last two stay, and the best one.
Holds tensors as safetensors (`shards.py`) and everything else as JSON. Random state is not among it: the loop seeds
every batch anew.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import torch.distributed as dist
from torch import Tensor

from model.checkpoint import write_atomically
from model.training.shards import load_shards, rank, save_shard, sync

KEPT = 2


@dataclass(slots=True)
class RunState:
    """What a checkpoint holds besides tensors: how far a run is and what it has seen."""

    step: int = 0  # steps done
    seconds: float = 0.0  # of training, evaluation and saving left out
    units: float = 0.0
    best_step: int | None = None
    best_value: float | None = None
    evaluations: dict[int, dict[str, float]] = field(default_factory=dict)  # figures by steps done


class Checkpoints:
    """The checkpoints under one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, step: int) -> Path:
        return self._directory / f"step-{step:08}"

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, in order."""
        return sorted(int(path.name.removeprefix("step-")) for path in self._directory.glob("step-*"))

    def save(self, state: RunState, tensors: dict[str, Tensor]) -> None:
        """Write one; every process of a run calls this with its own part. Does nothing where it is there already."""
        final = self.path(state.step)
        if final.exists():
            return
        partial = final.with_name(f".{final.name}.part")
        if rank() == 0:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        barrier()
        save_shard(partial, tensors)
        barrier()
        if rank() == 0:
            write_atomically(partial / "state.json", msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")
            sync(partial)
            partial.rename(final)
            sync(self._directory)
            self._remove_old(state)
        barrier()

    def load_latest(self, tensors: dict[str, Tensor]) -> RunState:
        """Fill `tensors` in place from the newest checkpoint. Raises FileNotFoundError where there is none."""
        steps = self.steps()
        if not steps:
            raise FileNotFoundError(f"nothing to resume: no checkpoint in {self._directory}")
        directory = self.path(steps[-1])
        load_shards(directory, tensors)
        return msgspec.json.decode((directory / "state.json").read_bytes(), type=RunState)

    def _remove_old(self, state: RunState) -> None:
        for step in self.steps()[:-KEPT]:
            if step != state.best_step:
                # Renamed first, so that a directory of the right name is always whole.
                doomed = self.path(step).rename(self._directory / f".step-{step:08}.old")
                shutil.rmtree(doomed)
        for leftover in self._directory.glob(".step-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def barrier() -> None:
    """Wait for all processes of the run."""
    if dist.is_initialized():
        dist.barrier()
