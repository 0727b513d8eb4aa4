"""Named tensors, whole or sharded over processes ↔ safetensors files that any other layout of processes can read.

Each process writes one file with the pieces that only it, or it first, holds. A file's header says of each piece which
global shape it belongs to and where it starts; reading copies what overlaps into live tensors. No pickle anywhere.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from model.training.optimizer import local_part


def rank() -> int:
    """The number of this process in the run; 0 where it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def num_ranks() -> int:
    """Processes of the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def file_name(index: int, count: int) -> str:
    return f"tensors-{index:05}-of-{count:05}.safetensors"


def offset_of(tensor: Tensor) -> tuple[int, ...]:
    """Where this process's part of a tensor starts in the whole."""
    if not isinstance(tensor, DTensor):
        return (0,) * tensor.ndim
    _, offset = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return tuple(offset) if offset else (0,) * tensor.ndim


def writes(tensor: Tensor) -> bool:
    """Whether this process is the one, of those that hold the same part, that writes it."""
    if not isinstance(tensor, DTensor):
        return rank() == 0
    mesh = tensor.device_mesh
    coordinate = mesh.get_coordinate()
    assert coordinate is not None, "a process outside of a tensor's mesh holds none of it"
    first = all(
        place == 0 for place, kind in zip(coordinate, tensor.placements, strict=True) if isinstance(kind, Replicate)
    )
    among_first = bool((mesh.mesh == 0).any())  # a mesh of some processes has twins that hold the same
    return first and among_first and local_part(tensor).numel() > 0


def save_shard(directory: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write this process's file. It is on the disk, not only in its cache, when this returns."""
    pieces: dict[str, Tensor] = {}
    places: dict[str, str] = {}
    for name, tensor in tensors.items():
        if writes(tensor):
            pieces[name] = local_part(tensor.detach()).contiguous()
            places[name] = json.dumps([list(tensor.shape), list(offset_of(tensor))])
    path = directory / file_name(rank(), num_ranks())
    save_file(pieces, path, metadata=places)
    sync(path)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a directory's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@torch.no_grad()
def load_shards(directory: Path, tensors: Mapping[str, Tensor]) -> None:
    """Copy what files hold into live tensors. Raises ValueError naming one that is missing, extra or does not fit."""
    filled = dict.fromkeys(tensors, 0)
    for path in sorted(directory.glob("tensors-*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name, place in (file.metadata() or {}).items():
                if name not in tensors:
                    raise ValueError(f"{path.name} holds {name!r}, which this run does not have")
                shape, start = json.loads(place)
                target = tensors[name]
                if shape != list(target.shape):
                    raise ValueError(f"{name}: stored with shape {shape}, but this run has {list(target.shape)}")
                filled[name] += _copy_overlap(file.get_slice(name), start, target)
    for name, count in filled.items():
        if count != local_part(tensors[name]).numel():
            raise ValueError(f"{directory} holds {count} of {local_part(tensors[name]).numel()} elements of {name!r}")


def _copy_overlap(piece: Any, piece_start: list[int], target: Tensor) -> int:
    """Copy what a stored piece and this process's part share; returns how many elements that is."""
    local = local_part(target)
    if local.ndim == 0:
        local.copy_(piece[...])
        return 1
    from_piece, into_local = [], []
    for size, begin, local_size, local_begin in zip(
        piece.get_shape(), piece_start, local.shape, offset_of(target), strict=True
    ):
        first, last = max(begin, local_begin), min(begin + size, local_begin + local_size)
        if first >= last:
            return 0
        from_piece.append(slice(first - begin, last - begin))
        into_local.append(slice(first - local_begin, last - local_begin))
    part = local[tuple(into_local)]
    part.copy_(piece[tuple(from_piece)])
    return part.numel()


def saved_buffers(network: nn.Module) -> dict[str, Tensor]:
    """Buffers that are part of a network's state."""
    return {
        f"{path}.{name}" if path else name: buffer
        for path, part in network.named_modules()
        for name, buffer in part.named_buffers(recurse=False)
        if name not in part._non_persistent_buffers_set
    }
