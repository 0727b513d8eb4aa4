"""Tokens per second of training the nano preset, and the share of the machine's matrix rate that it uses.

    python benchmarks/train_speed.py [--threads 2] [--tokens 512] [--rows 2] [--micro-batches 8] [--compile]

Steps of the real training loop over random text: all of embedding, decoder and tied head learn. The matrix rate is
that of bfloat16 products of 2,048 x 2,048 matrices, measured once a step, so that a busy machine slows both. On one
that is shared, `--threads 1` and the figures by processor time say what one core does when it is not. The last line is
JSON.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.network import Network
from model.presets import nano
from model.training.allocator import keep_freed_memory
from model.training.config import LoopConfig
from model.training.cross_entropy import mean_cross_entropy
from model.training.loop import run
from model.training.memory import flops_per_token
from model.training.stage import Loss

SIDE = 2_048


class SpeedStage:
    """Random tokens through the model's text path. Times a product of large matrices at each step."""

    unit = "tokens"

    def __init__(self, config: ModelConfig, rows: int, tokens: int, micro_batches: int) -> None:
        self.network = Network(replace(config, audio_codec=None, image_vq=None, vision=None))
        self.network.init(0)
        for part in (self.network.embedding.audio, self.network.audio_head, self.network.text_head.extra):
            part.requires_grad_(False)
        self.rows, self.tokens, self.micro_batches = rows, tokens, micro_batches
        self.left = torch.randn(SIDE, SIDE).bfloat16()
        self.matrix_seconds: list[float] = []
        self.matrix_cpu_seconds: list[float] = []
        self.cpu_at_step: list[float] = []  # processor time of all threads when each step began

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"model": self.network}

    def batch(self, index: int) -> Tensor:
        if index % self.micro_batches == 0:
            self.cpu_at_step.append(time.process_time())
            start, cpu_start = time.perf_counter(), time.process_time()
            self.left @ self.left
            self.matrix_seconds.append(time.perf_counter() - start)
            self.matrix_cpu_seconds.append(time.process_time() - cpu_start)
        return torch.randint(self.network.config.vocab.text, (self.rows, self.tokens + 1))

    def loss(self, phase: str, batch: Tensor, step: int) -> Loss:
        inputs, targets = batch[:, :-1], batch[:, 1:].flatten()
        position = torch.arange(self.tokens).expand(self.rows, -1)
        embedding, decoder = self.network.embedding, self.network.decoder
        assert decoder is not None, "built with its decoder"
        hidden = decoder(embedding(embedding.content(inputs), position, position, torch.zeros_like(position)), position)
        return Loss(mean_cross_entropy(hidden.flatten(0, 1), embedding.text.weight, targets), len(targets))

    def evaluate(self) -> Mapping[str, float]:
        return {}

    def export(self, directory: Path) -> None:
        """Nothing is kept."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=2, help="sequences of a micro-batch")
    parser.add_argument("--tokens", type=int, default=512, help="of a sequence")
    parser.add_argument("--micro-batches", type=int, default=8, help="of a step")
    parser.add_argument("--steps", type=int, default=4, help="at least 3; the first warms up")
    parser.add_argument("--compile", action="store_true", help="compile the decoder's layers")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    stage = SpeedStage(nano(), options.rows, options.tokens, options.micro_batches)
    loop = LoopConfig(
        steps=options.steps,
        micro_batches=options.micro_batches,
        compile=options.compile,
        checkpoint_every=10**9,
        evaluate_every=0,
        log_every=1,
    )
    with tempfile.TemporaryDirectory() as directory:
        run(stage, loop, Path(directory), title="train_speed")
        lines = [json.loads(line) for line in (Path(directory) / "metrics.jsonl").read_text().splitlines()]
    speeds = [line["speed"] for line in lines if "speed" in line][1:]
    matrix_flops = 2 * SIDE**3 / median(stage.matrix_seconds[1:])
    speed = median(speeds)
    work = flops_per_token(stage.network.config, options.tokens)
    cpu_seconds = median(b - a for a, b in pairwise(stage.cpu_at_step[1:]))
    cpu_speed = options.rows * options.tokens * options.micro_batches / cpu_seconds
    matrix_cpu_flops = 2 * SIDE**3 / median(stage.matrix_cpu_seconds[1:])
    print(
        json.dumps(
            {
                "tokens_per_second": round(speed, 1),
                "of_each_step": [round(value, 1) for value in speeds],
                "share_of_matrix_rate": round(speed * work / matrix_flops, 3),
                "tokens_per_cpu_second": round(cpu_speed, 1),
                "share_by_cpu_time": round(cpu_speed * work / matrix_cpu_flops, 3),
                "matrix_tflops": round(matrix_flops / 1e12, 3),
                "threads": options.threads,
                "compiled": options.compile,
                "load_average": round(os.getloadavg()[0], 2),
                "torch": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
