"""What the scripts that put trained weights into a checkpoint share: its preset's config, and writing it again."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from model.checkpoint import Checkpoint, Stored, load_checkpoint, save_checkpoint
from model.config import ModelConfig
from model.int8 import pack
from model.network import untrained_parts
from model.presets import PRESETS

LEAST_PACKED = 65_536  # elements


def open_checkpoint(directory: Path) -> tuple[Checkpoint, ModelConfig]:
    """A checkpoint, and the config of its preset as it is today, with the abilities that the checkpoint has.

    Raises ValueError where it holds no preset, and as `load_checkpoint` does.
    """
    checkpoint = load_checkpoint(directory)
    before = ModelConfig.from_json(checkpoint.model)
    if before.name not in PRESETS:
        raise ValueError(f"{directory} holds the model {before.name!r}; presets are {', '.join(PRESETS)}")
    return checkpoint, replace(PRESETS[before.name](), abilities=before.abilities)


def rewrite(
    directory: Path,
    checkpoint: Checkpoint,
    config: ModelConfig,
    tensors: Mapping[str, Stored],
    provenance: str,
    note: str,
) -> str:
    """Store `tensors` instead, with `note` once at the end of `provenance`. Returns a line on what is there now."""
    untrained = untrained_parts(config, tensors)
    provenance = f"{provenance.removesuffix(note).strip()} {note}".strip()
    description = replace(checkpoint.description, model=config.to_json(), untrained=untrained, provenance=provenance)
    save_checkpoint(directory, description, tensors)
    written = sum(path.stat().st_size for path in directory.glob("model-*.safetensors"))
    return f"{directory}: {written / 1e6:.1f} MB; not trained: {', '.join(untrained) or 'nothing'}"


def packed_in_int8(tensor: Tensor) -> Stored:
    """Large matrices and kernels in int8; the rest, codebooks and norms among it, costs little and stays exact."""
    is_large = tensor.ndim > 1 and tensor.is_floating_point() and tensor.numel() >= LEAST_PACKED
    return pack(tensor) if is_large else tensor
