"""Tiny networks whose every input matters: weights from a seed, the fusing map included."""

from dataclasses import replace

import torch

from model.config import ModelConfig
from model.network import Network
from model.presets import tiny


def tiny_config(**changes) -> ModelConfig:
    return replace(tiny(), **changes)


def lively_network(config: ModelConfig | None = None, seed: int = 1) -> Network:
    """As initialised, but with a fusing map that lets positions, ticks and sources through."""
    network = Network(config or tiny())
    network.init(seed)
    with torch.no_grad():
        noise = torch.rand(network.embedding.fuse.weight.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
        network.embedding.fuse.weight.add_(0.1 * noise)
        network.embedding.text.weight.mul_(10)
        network.embedding.extra.weight.mul_(10)
        network.embedding.audio.table.weight.mul_(10)
    return network.eval()
