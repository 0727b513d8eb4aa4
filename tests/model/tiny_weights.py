"""A checkpoint small enough to write and run in a test: the `tiny` preset as a text model, its matrices in NVFP4."""

import json
from dataclasses import replace
from pathlib import Path

from model.checkpoint import Description, save_checkpoint
from model.config import TickConfig
from model.fp4 import Fp4Format, quantize
from model.network import Network
from model.presets import TEXT_ONLY, tiny


def save_tiny_weights(directory: Path, tick: TickConfig | None = None) -> Path:
    """Write it into an existing directory, and return that."""
    config = replace(tiny(), abilities=TEXT_ONLY)
    if tick is not None:
        config = replace(config, tick=tick)
    network = Network(config)
    network.init(seed=7)
    tensors = {}
    for name, tensor in network.state_dict().items():
        if name.startswith("decoder.") or name in ("embedding.text.weight", "text_head.text.weight"):
            tensors[name] = quantize(tensor, Fp4Format.NVFP4) if tensor.ndim == 2 else tensor
    model = json.loads(json.dumps(config.to_json()))
    save_checkpoint(directory, Description(model, 7, ("audio_codec",), "for tests"), tensors)
    return directory
