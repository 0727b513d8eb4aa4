"""Which arithmetic runs the stored weights. Explicit, printed at start, and part of what a recording remembers.

A checkpoint's tensors become the modules of one backend: the reference, which unpacks FP4 at every call; the same
weights unpacked once; the native kernel; or Triton's on a GPU. All of them compute a row as if it were alone.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from model.cache import Rows, SlotCache
from model.checkpoint import Stored, as_tensor
from model.config import DecoderConfig
from model.embedding import Fp4Embedding
from model.fp4 import DequantizedLinear, Fp4Linear, PackedFp4, dequantize
from model.kernels.native import KvTensors, LayerWeights, NativeDecoder, NativeLinear, NativePool
from model.kv_format import KvFormat
from model.network import Network
from model.rotary import rotary_table

if TYPE_CHECKING:
    from model.kernels.cuda_graph import GraphedDecoder
    from model.kernels.triton_fp4 import TritonLinear

CUDA = "cuda"


class Backend(StrEnum):
    """How linear layers stored in FP4 are computed."""

    REFERENCE = "reference"  # plain torch, unpacked at every call: slow, for comparison
    DEQUANTIZED = "dequantized"  # plain torch, unpacked once at load: any machine
    NATIVE = "native"  # the C++ kernel, computing on packed weights
    TRITON = "triton"  # the decoder and the text head on a CUDA GPU, computing on packed weights

    @property
    def holds_decoder(self) -> bool:
        """Whether the decoder is a twin that keeps its own copy of the weights."""
        return self in (Backend.NATIVE, Backend.TRITON)

    @property
    def best_kv_format(self) -> KvFormat:
        """Int8 where it is also faster; it predicts text as well as bfloat16 (docs/lab_notes.md)."""
        return KvFormat.INT8 if self is Backend.NATIVE else KvFormat.BFLOAT16


class RowwiseHead(nn.Module):
    """A linear layer computed row by row, so that a row's logits cannot depend on how many rows there are."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, hidden_ND: Tensor) -> Tensor:
        return torch.cat([self.linear(row[None]) for row in hidden_ND])


def linear_of(stored: Stored, backend: Backend) -> nn.Module:
    """A stored weight [out, in] as the module that multiplies by it."""
    if not isinstance(stored, PackedFp4):
        return DequantizedLinear(as_tensor(stored).float())
    if backend is Backend.REFERENCE:
        return Fp4Linear(stored)
    return DequantizedLinear(dequantize(stored))


def install(network: Network, tensors: Mapping[str, Stored], backend: Backend) -> None:
    """Put stored tensors into a network: FP4 ones as modules of the backend, the others as the weights they name.

    The decoder is left out where the network has none. Raises ValueError for a name the network does not have.
    """
    for name, stored in tensors.items():
        if name.startswith("decoder.") and network.decoder is None:
            continue
        path, _, leaf = name.rpartition(".")
        try:
            owner = network.get_submodule(path)
        except AttributeError as error:
            raise ValueError(f"the {network.config.name} model has no place for the tensor {name!r}") from error
        if isinstance(stored, PackedFp4):
            is_table = isinstance(owner, nn.Embedding)
            _replace(network, path, Fp4Embedding(stored) if is_table else linear_of(stored, backend))
            continue
        target = getattr(owner, leaf, None)
        if not isinstance(target, Tensor) or target.shape != stored.shape:
            shape = tuple(target.shape) if isinstance(target, Tensor) else None
            raise ValueError(f"{name}: stored as {tuple(stored.shape)}, but the model has {shape}")
        with torch.no_grad():
            target.copy_(as_tensor(stored))


def text_head(network: Network, tensors: Mapping[str, Stored], backend: Backend, pool: NativePool | None) -> nn.Module:
    """The text head's matrix, its own or the table it is tied to, in the arithmetic of the backend."""
    stored = tensors["embedding.text.weight" if network.config.tied_text_head else "text_head.text.weight"]
    if backend is Backend.NATIVE and isinstance(stored, PackedFp4):
        assert pool is not None, "the native backend has threads"
        return NativeHead(NativeLinear(stored, pool))
    if backend is Backend.TRITON and isinstance(stored, PackedFp4):
        from model.kernels.triton_fp4 import TritonLinear

        return GpuHead(TritonLinear(stored).to(CUDA))
    return RowwiseHead(linear_of(stored, backend))


def native_decoder(
    config: DecoderConfig, tensors: Mapping[str, Stored], cache: SlotCache, pool: NativePool
) -> "BoundNativeDecoder":
    """The native decoder over stored tensors, bound to `cache`."""
    layers, norm = layer_weights(config, tensors, Backend.NATIVE)
    tensors_of_cache = KvTensors(cache.k, cache.v, cache.k_scale, cache.v_scale)
    return BoundNativeDecoder(NativeDecoder(config, layers, norm, tensors_of_cache, pool))


def triton_decoder(config: DecoderConfig, tensors: Mapping[str, Stored], cache: SlotCache) -> "GraphedDecoder":
    """The decoder on the cache's GPU, its decode steps captured. Needs an empty cache."""
    from model.kernels.cuda_graph import GraphedDecoder  # Triton is optional, so imported only here
    from model.kernels.gpu_decoder import GpuDecoder

    layers, norm = layer_weights(config, tensors, Backend.TRITON)
    return GraphedDecoder(GpuDecoder(config, layers, norm, cache))


def layer_weights(
    config: DecoderConfig, tensors: Mapping[str, Stored], backend: Backend
) -> tuple[list[LayerWeights], Tensor]:
    """Each layer's stored weights, and the final norm. ValueError where a matrix is not stored in FP4."""

    def packed(name: str) -> PackedFp4:
        stored = tensors[name]
        if not isinstance(stored, PackedFp4):
            raise ValueError(f"the {backend} backend needs {name} in FP4; run this checkpoint with another backend")
        return stored

    def norm(name: str) -> Tensor:
        stored = tensors[name]
        assert isinstance(stored, Tensor), "norms are not stored in FP4"
        return stored.float()

    layers = []
    for index in range(config.num_layers):
        path = f"decoder.layers.{index}"
        attention = {name[0]: packed(f"{path}.attention.{name}_proj.weight") for name in "qkvo"}
        ffn = {name: packed(f"{path}.ffn.{name}_proj.weight") for name in ("gate", "up", "down")}
        norms = {name: norm(f"{path}.{name}.weight") for name in ("attention_norm", "ffn_norm")}
        layers.append(LayerWeights(**attention, **ffn, **norms))
    return layers, norm("decoder.norm.weight")


class BoundNativeDecoder:
    """The native decoder behind the engine's `CachedDecoder`; its cache is the one it was built on."""

    def __init__(self, native: NativeDecoder) -> None:
        self._native = native

    def forward_cached(self, x_ND: Tensor, rows: Rows, cache: SlotCache) -> Tensor:
        """Append rows to their slots; hidden states [N, D] float32."""
        config = self._native.config
        cos_NR, sin_NR = rotary_table(rows.position, config.d_head, config.rope_theta)
        return self._native.forward(x_ND.float(), rows.slot, rows.index, cos_NR, sin_NR)


class NativeHead(nn.Module):
    """A native linear layer as a module."""

    def __init__(self, linear: NativeLinear) -> None:
        super().__init__()
        self._linear = linear

    def forward(self, hidden_ND: Tensor) -> Tensor:
        return self._linear(hidden_ND)


class GpuHead(nn.Module):
    """A linear layer on a GPU for rows on the host."""

    def __init__(self, linear: "TritonLinear") -> None:
        super().__init__()
        self.linear = linear

    def forward(self, hidden_ND: Tensor) -> Tensor:
        return self.linear(hidden_ND.to(self.linear.codes.device)).to(hidden_ND.device)


def _replace(network: Network, path: str, module: nn.Module) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(network.get_submodule(parent), leaf, module)
