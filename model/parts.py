"""Tokenizers and encoders by themselves: from what a training stage exported, or from a checkpoint of the whole model.

A part is named as `Network` calls it (`network.PARTS`); its own file is PART.safetensors. Beside it, or beside a
checkpoint's shards, PART_reader.safetensors holds linear layers that learned with an encoder to tell what is in its
features: evaluation needs them, the model does not.
"""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from model.checkpoint import CONFIG_NAME, as_tensor, load_checkpoint


def part_tensors(path: Path, part: str) -> dict[str, Tensor]:
    """The part's own state. `path` is its file, a directory that holds it, or a checkpoint's directory.

    Raises FileNotFoundError where there is nothing, ValueError where the checkpoint has not got the part.
    """
    if (path / CONFIG_NAME).is_file():
        tensors = load_checkpoint(path).tensors
        prefix = f"{part}."
        found = {name.removeprefix(prefix): as_tensor(tensors[name]) for name in tensors if name.startswith(prefix)}
        if not found:
            raise ValueError(f"{path} holds no trained {part}")
        return found
    file = path / f"{part}.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing")
    return load_file(file)


def check_part(own: Mapping[str, Tensor], found: Mapping[str, Tensor], part: str, path: Path) -> None:
    """Raise ValueError unless the tensors `found` in `path` are the part's `own`, all of them, in shape too."""
    for name, tensor in own.items():
        if name not in found:
            raise ValueError(f"{path}: {part} lacks {name!r}")
        if found[name].shape != tensor.shape:
            raise ValueError(f"{path}: {part}'s {name} is {list(found[name].shape)}, the model's {list(tensor.shape)}")
    if unknown := sorted(found.keys() - own.keys()):
        raise ValueError(f"{path}: the model's {part} has no {unknown[0]!r}")


def load_part(module: nn.Module, path: Path, part: str) -> None:
    """Fill a part, as `part_tensors`. Raises ValueError, changing nothing, unless all of it is there and fits."""
    found = part_tensors(path, part)
    check_part(module.state_dict(), found, part, path)
    module.load_state_dict(found)


def load_reader(module: nn.Module, directory: Path, part: str) -> None:
    """Fill the readers of a part. Raises FileNotFoundError or ValueError as `load_part`."""
    load_part(module, directory / reader_file(part), f"the reader of {part}")


def reader_file(part: str) -> str:
    return f"{part}_reader.safetensors"
