"""A small language model's stage, and a program that trains it in one of several processes: parallel_stage.py OUT

The program trains twice, first sharded over two processes, then with each layer split over two.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from model.config import DecoderConfig
from model.decoder import Decoder
from model.init import init_weights
from model.training.cross_entropy import mean_cross_entropy
from model.training.loop import LoopConfig, run
from model.training.parallel import ParallelConfig, find_place
from model.training.stage import Loss

STEPS = 6
CONFIG = LoopConfig(
    steps=STEPS, warmup_steps=2, learning_rate=1e-2, micro_batches=2, clip_norm=0.5, ema_decay=0.9, bf16=False,
    checkpoint_every=4, evaluate_every=3, log_every=1,
)  # fmt: skip


class SmallModel(nn.Module):
    """A decoder with a table that is also its head, and a frozen map between them."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(33, 32)  # a number of rows that two processes do not share evenly
        self.frozen = nn.Linear(32, 32)
        self.decoder = Decoder(DecoderConfig(32, num_layers=2, num_heads=4, num_kv_heads=2, d_head=8, d_ffn=48))
        init_weights(self, 0)
        self.frozen.requires_grad_(False)


class SmallStage:
    unit = "tokens"

    def __init__(self) -> None:
        self.network = SmallModel()

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"model": self.network}

    def batch(self, index: int) -> Tensor:
        length = 6 + index % 3  # so that batches weigh differently
        start = torch.randint(33, (4, 1), generator=torch.Generator().manual_seed(index))
        return (start + torch.arange(length)) % 33

    def loss(self, phase: str, batch: Tensor, step: int) -> Loss:
        x, targets = self.network.table(batch[:, :-1]), batch[:, 1:].flatten()
        hidden = self.network.decoder(x + self.network.frozen(x), torch.arange(x.shape[1]).expand(len(x), -1))
        return Loss(mean_cross_entropy(hidden.flatten(0, 1), self.network.table.weight, targets), len(targets))

    def evaluate(self) -> Mapping[str, float]:
        return {"loss": float(self.loss("model", self.batch(999), 0).total)}

    def export(self, directory: Path) -> None:
        save_file(self.network.state_dict(), directory / "model.safetensors")


def main(out: Path) -> None:
    torch.set_num_threads(1)
    sharded = find_place(ParallelConfig(fsdp=2))
    run(SmallStage(), replace(CONFIG, micro_batches=1), out / "fsdp", place=sharded)
    split = find_place(ParallelConfig(tensor=2))
    run(SmallStage(), CONFIG, out / "tensor", place=split)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
