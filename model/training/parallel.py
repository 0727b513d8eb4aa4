"""One process or many: how weights and batches are laid over them, decided by two numbers and nothing in a stage.

A run has `fsdp` × `tensor` processes. Those of one tensor group see the same batches and share each layer's matrices;
between groups every weight, gradient and optimizer state is sharded (FSDP2) and batches differ. The loop numbers
batches over all groups, so two groups take the batches that one process with twice the micro-batches would take.
"""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.utils import parametrize

from model.decoder import Layer

FSDP, TENSOR = "fsdp", "tensor"


@dataclass(frozen=True, slots=True)
class ParallelConfig:
    """How many processes share the weights, under `torchrun` with `fsdp` × `tensor` processes in all."""

    fsdp: int = 1  # groups that shard weights, gradients and optimizer state, each with batches of its own
    tensor: int = 1  # processes of a group, which share each decoder layer's matrices

    def __post_init__(self) -> None:
        if self.fsdp < 1 or self.tensor < 1:
            raise ValueError(f"parallel sizes are at least 1, got fsdp {self.fsdp} and tensor {self.tensor}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process stands: its device, and which share of the batches it takes."""

    device: torch.device
    mesh: DeviceMesh | None = None  # None where the process is alone

    @property
    def data_rank(self) -> int:
        return self.mesh[FSDP].get_local_rank() if self.mesh is not None else 0

    @property
    def num_data_ranks(self) -> int:
        return self.mesh[FSDP].size() if self.mesh is not None else 1


def find_place(config: ParallelConfig) -> Place:
    """Join the run's other processes, if `torchrun` started this one. Raises ValueError where the numbers disagree."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if config.fsdp * config.tensor != world:
        raise ValueError(
            f"fsdp {config.fsdp} × tensor {config.tensor} needs {config.fsdp * config.tensor} processes, "
            f"but {world} were started; launch with torchrun --nproc-per-node"
        )
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    device = torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)
    if world == 1:
        return Place(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    return Place(device, init_device_mesh(kind, (config.fsdp, config.tensor), mesh_dim_names=(FSDP, TENSOR)))


def distribute(root: nn.Module, place: Place, bf16: bool) -> None:
    """Lay the weights below `root` over the processes of `place`. They must be equal in all of them beforehand.

    Decoder layers are gathered when their turn comes, in bfloat16 where the run uses it; all else with `root`.
    """
    if place.mesh is None:
        return
    layers = [part for part in root.modules() if isinstance(part, Layer)]
    if place.mesh[TENSOR].size() > 1:
        for layer in layers:
            split_layer(layer, place.mesh[TENSOR])
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bf16 else None, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    for layer in layers:
        fully_shard(layer, mesh=place.mesh[FSDP], mp_policy=policy)
    # The root's weights go too after each use: averages and updates change the shards, and nothing old may stay.
    whole = MixedPrecisionPolicy(cast_forward_inputs=False)
    fully_shard(root, mesh=place.mesh[FSDP], mp_policy=whole, reshard_after_forward=True)


def split_layer(layer: Layer, mesh: DeviceMesh) -> None:
    """Give each process of `mesh` its share of a layer's heads and of its feed-forward units."""
    attention, size = layer.attention, mesh.size()
    if attention.num_kv_heads % size:
        raise ValueError(f"{attention.num_kv_heads} key/value heads cannot be split over {size} processes")
    if any(parametrize.is_parametrized(part) for part in layer.modules()):
        raise ValueError(
            "training through the FP4 grid does not combine with tensor parallelism: it scales whole matrices"
        )
    if layer.ffn.gate_proj.out_features % size:
        raise ValueError(f"{layer.ffn.gate_proj.out_features} feed-forward units cannot be split over {size} processes")
    into, out_of = ("attention.q_proj", "attention.k_proj", "attention.v_proj"), ("attention.o_proj",)
    into, out_of = (*into, "ffn.gate_proj", "ffn.up_proj"), (*out_of, "ffn.down_proj")
    plan = {name: ColwiseParallel() for name in into} | {name: RowwiseParallel() for name in out_of}
    parallelize_module(layer, mesh, plan)
    attention.num_heads //= size
    attention.num_kv_heads //= size


@torch.no_grad()
def gather_weights(root: nn.Module, place: Place) -> None:
    """Make weights below `root` whole and plain again in the first process, in its memory. Training is over then."""
    if place.mesh is None:
        return
    for part in root.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if isinstance(parameter, DTensor):
                whole = parameter.full_tensor()
                kept = whole.cpu() if dist.get_rank() == 0 else torch.empty_like(whole, device="meta")
                part._parameters[name] = nn.Parameter(kept, parameter.requires_grad)
        if isinstance(part, Layer):
            part.attention.num_heads *= place.mesh[TENSOR].size()
            part.attention.num_kv_heads *= place.mesh[TENSOR].size()
