"""A stage that learns in milliseconds: a small network with noise, a frozen part and a running statistic.

As a program it trains into the directory given, so that a test can kill it: toy_stage.py OUT STEPS KILL_AT resume|fresh
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from model.training.loop import LoopConfig, run
from model.training.stage import Loss

WIDTH = 8


class ToyNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.frozen = nn.Linear(WIDTH, WIDTH)
        self.hidden = nn.Linear(WIDTH, 16)
        self.norm = nn.BatchNorm1d(16)
        self.out = nn.Linear(16, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.rand(parameter.shape, generator=generator) - 0.3)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.norm(self.hidden(self.frozen(x))))
        return self.out(nn.functional.dropout(hidden, 0.1, self.training)).squeeze(-1)


class ToyStage:
    """Regression on a fixed function. Kills its own process at the step `kill_at`."""

    unit = "rows"

    def __init__(self, rows: int = 16, kill_at: int | None = None) -> None:
        self.network = ToyNetwork()
        self.rows = rows
        self.kill_at = kill_at
        self.exported: Path | None = None

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"main": self.network}

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        x = torch.rand((self.rows, WIDTH), generator=torch.Generator().manual_seed(index))
        return x, x.sum(-1).sin()

    def loss(self, phase: str, batch: tuple[Tensor, Tensor], step: int) -> Loss:
        if step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        x, y = batch
        error = (self.network(x) - y).square().mean()
        return Loss(error, len(x), {"rms": error.sqrt()})

    def evaluate(self) -> Mapping[str, float]:
        x, y = self.batch(1_000_000)
        return {"loss": float((self.network(x) - y).square().mean())}

    def export(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        save_file(self.network.state_dict(), directory / "toy.safetensors")
        self.exported = directory


def toy_config(steps: int) -> LoopConfig:
    return LoopConfig(
        steps=steps, learning_rate=1e-2, warmup_steps=2, checkpoint_every=4, evaluate_every=5, log_every=1,
        micro_batches=2, ema_decay=0.9, bf16=False,
    )  # fmt: skip


def main(out: str, steps: str, kill_at: str, mode: str) -> None:
    torch.set_num_threads(1)
    run(ToyStage(kill_at=int(kill_at)), toy_config(int(steps)), Path(out), resume=mode == "resume")


if __name__ == "__main__":
    main(*sys.argv[1:])
