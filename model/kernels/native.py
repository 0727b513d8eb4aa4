"""FP4 linear layers and whole decoder steps on the CPU, as single calls into the native library.

`NativePool` owns threads, `NativeLinear` one matrix, `NativeDecoder` all layers of a decoder bound to a slot cache.
A row's result never depends on the other rows of a call, on how a sequence is cut into calls, or on the number of
threads, bit for bit. Nothing is loaded at import.

Activations are rounded per row and block of 32 inputs: to 8 bits (error about 0.5 % of their norm) or 16 (0.002 %).

Shape legend: N rows, D model width, L layers, S slots, G key/value heads, C cache positions, E head width, R half of
it.
"""

import ctypes
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from model.config import DecoderConfig
from model.decoder import Decoder
from model.fp4 import E4M3_NAN, E8M0_BIAS, Fp4Format, Fp4Linear, PackedFp4
from model.kernels.native_abi import (
    CacheStruct,
    DecoderConfigStruct,
    Fp4Struct,
    LayerStruct,
    RowsStruct,
    load,
)

ISA_VARIABLE = "OMNIWEAVE_ISA"
MAX_HEAD_WIDTH = 128
TILE = 16  # output rows of one tile; the widths inside a decoder are whole tiles
MAX_HEADS_PER_GROUP = 64
# Sums of a block of 32 reach 2^16 before they are scaled, which must not overflow float32.
_FIRST_BAD_SCALE = {Fp4Format.NVFP4: E4M3_NAN, Fp4Format.MXFP4: E8M0_BIAS + 112 + 1}
_OUT_OF_MEMORY, _BAD_ARGUMENT = 1, 3


class Isa(Enum):
    """An instruction set path. All compute the same bits."""

    PORTABLE = "portable"
    AVX2 = "avx2"
    AVX2_VNNI = "avx2_vnni"
    AVX512 = "avx512"
    NEON = "neon"

    @property
    def code(self) -> int:
        """Its number in abi.h."""
        return list(Isa).index(self)

    @property
    def runs_here(self) -> bool:
        """Whether this CPU has the instructions."""
        return bool(load().ow_isa_runs(self.code))


class Activation(Enum):
    """What activations are rounded to before they meet FP4 weights."""

    INT8 = 0
    INT16 = 1


def choose_isa() -> Isa:
    """The path named by OMNIWEAVE_ISA, else the best that this CPU runs. Raises ValueError for one that it cannot."""
    name = os.environ.get(ISA_VARIABLE)
    if name is None:
        return list(Isa)[load().ow_best_isa()]
    names = [isa.value for isa in Isa]
    if name not in names:
        raise ValueError(f"{ISA_VARIABLE} must be one of {', '.join(names)}, not {name!r}")
    if not Isa(name).runs_here:
        raise ValueError(f"{ISA_VARIABLE} is {name!r}, which this CPU cannot run")
    return Isa(name)


class NativePool:
    """Threads for native calls. Objects may share one; calls on one pool happen one after the other."""

    def __init__(self, num_threads: int | None = None, pinned: bool = False) -> None:
        if num_threads is None:
            num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if num_threads < 1:
            raise ValueError(f"a pool needs at least one thread, not {num_threads}")
        self.num_threads = num_threads
        self._handle = _owned(self, load().ow_pool_create(num_threads, pinned), load().ow_pool_destroy)

    def read(self, words: Tensor) -> int:
        """Read an int64 tensor as fast as these threads can; returns its sum. How benchmarks measure bandwidth."""
        words = _checked(words, "words", torch.int64, tuple(words.shape))
        total = load().ow_pool_read(self._handle, words.data_ptr(), words.numel())
        return int(ctypes.c_int64(total).value)

    @property
    def handle(self) -> int:
        """The C object, alive as long as this one."""
        return self._handle


class NativeLinear:
    """y [..., out] = x [..., in] times an FP4 matrix. Keeps a repacked copy of the weight."""

    def __init__(
        self, packed: PackedFp4, pool: NativePool, activation: Activation = Activation.INT8, isa: Isa | None = None
    ) -> None:
        self.shape = packed.shape
        self._pool = pool
        keep: list[Tensor] = []
        struct = _fp4_struct(packed, keep)
        handle = load().ow_linear_create(
            ctypes.byref(struct), activation.value, (isa or choose_isa()).code, pool.handle
        )
        self._handle = _owned(self, handle, load().ow_linear_destroy)

    def __call__(self, x: Tensor) -> Tensor:
        """Raises ValueError unless x is float32 on the CPU and its last dimension fits."""
        out, inp = self.shape
        if x.shape[-1:] != (inp,):
            raise ValueError(f"this layer takes [..., {inp}], not {list(x.shape)}")
        x = _checked(x.contiguous(), "x", torch.float32, tuple(x.shape))
        y = torch.empty(*x.shape[:-1], out)
        _raise_for(load().ow_linear_forward(self._handle, x.data_ptr(), x.numel() // inp, y.data_ptr()))
        return y


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer: norms float32 [D], and FP4 matrices of one format."""

    attention_norm: Tensor
    q: PackedFp4
    k: PackedFp4
    v: PackedFp4
    o: PackedFp4
    ffn_norm: Tensor
    gate: PackedFp4
    up: PackedFp4
    down: PackedFp4


@dataclass(frozen=True, slots=True)
class KvTensors:
    """The slot cache's memory, contiguous [L, S, G, C, E]: bfloat16, or int8 with scales float32 [L, S, G, C]."""

    k: Tensor
    v: Tensor
    k_scale: Tensor | None = None
    v_scale: Tensor | None = None


class NativeDecoder:
    """All layers and the final norm of a decoder, reading and writing a slot cache in place."""

    def __init__(
        self,
        config: DecoderConfig,
        layers: Sequence[LayerWeights],
        norm: Tensor,
        cache: KvTensors,
        pool: NativePool,
        activation: Activation = Activation.INT8,
        isa: Isa | None = None,
    ) -> None:
        _check_config(config, layers)
        self.config = config
        self._pool, self._cache = pool, cache
        keep: list[Tensor] = []
        structs = (LayerStruct * len(layers))(*(_layer_struct(config, layer, keep) for layer in layers))
        config_struct = DecoderConfigStruct(
            config.num_layers, config.d_model, config.num_heads, config.num_kv_heads, config.d_head, config.d_ffn,
            config.norm_eps, activation.value,
        )  # fmt: skip
        handle = load().ow_decoder_create(
            ctypes.byref(config_struct),
            structs,
            _kept(norm, "norm", (config.d_model,), keep),
            ctypes.byref(_cache_struct(config, cache)),
            (isa or choose_isa()).code,
            pool.handle,
        )
        self._handle = _owned(self, handle, load().ow_decoder_destroy)

    def forward(self, x_ND: Tensor, slot_N: Tensor, index_N: Tensor, cos_NR: Tensor, sin_NR: Tensor) -> Tensor:
        """Append rows to their slots and return their hidden states [N, D].

        `index_N` is each row's place in its slot; it attends to places 0 to there. Rows of one slot come in increasing
        index. Raises ValueError for a wrong shape or type, or a place outside the cache.
        """
        num_rows, half = x_ND.shape[0], self.config.d_head // 2
        x_ND = _checked(x_ND.contiguous(), "x", torch.float32, (num_rows, self.config.d_model))
        slot_N = _checked(slot_N.to(torch.int32).contiguous(), "slot", torch.int32, (num_rows,))
        index_N = _checked(index_N.to(torch.int32).contiguous(), "index", torch.int32, (num_rows,))
        cos_NR = _checked(cos_NR.contiguous(), "cos", torch.float32, (num_rows, half))
        sin_NR = _checked(sin_NR.contiguous(), "sin", torch.float32, (num_rows, half))
        hidden_ND = torch.empty_like(x_ND)
        tensors = (x_ND, slot_N, index_N, cos_NR, sin_NR, hidden_ND)
        rows = RowsStruct(*(tensor.data_ptr() for tensor in tensors), num_rows)
        _raise_for(load().ow_decoder_forward(self._handle, ctypes.byref(rows)))
        return hidden_ND


def layer_weights_of(decoder: Decoder) -> list[LayerWeights]:
    """The weights of a decoder whose linear layers are `Fp4Linear`."""

    def packed(layer: torch.nn.Module) -> PackedFp4:
        if not isinstance(layer, Fp4Linear):
            raise ValueError(f"the native decoder needs FP4 linear layers, not {type(layer).__name__}")
        return layer.packed

    return [
        LayerWeights(
            attention_norm=layer.attention_norm.weight.detach(),
            q=packed(layer.attention.q_proj),
            k=packed(layer.attention.k_proj),
            v=packed(layer.attention.v_proj),
            o=packed(layer.attention.o_proj),
            ffn_norm=layer.ffn_norm.weight.detach(),
            gate=packed(layer.ffn.gate_proj),
            up=packed(layer.ffn.up_proj),
            down=packed(layer.ffn.down_proj),
        )
        for layer in decoder.layers
    ]


def _owned(owner: object, handle: int | None, destroy: "ctypes._CFuncPtr") -> int:  # type: ignore[name-defined]
    """Tie a C object's life to `owner`'s. Null means that memory or threads ran out."""
    if not handle:
        raise MemoryError(f"the native library could not create a {type(owner).__name__}")
    weakref.finalize(owner, destroy, handle)
    return handle


def _raise_for(status: int) -> None:
    if status == _OUT_OF_MEMORY:
        raise MemoryError("the native library ran out of memory")
    if status == _BAD_ARGUMENT:
        raise ValueError("a row's slot or index lies outside the cache, or a slot's rows are not in increasing index")
    assert status == 0, f"unknown native status {status}"


def _checked(tensor: Tensor, name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if tensor.dtype != dtype or tuple(tensor.shape) != shape or not tensor.is_contiguous() or tensor.is_cuda:
        raise ValueError(
            f"{name} must be a contiguous CPU tensor of {dtype} {list(shape)}, "
            f"not {tensor.dtype} {list(tensor.shape)} on {tensor.device}"
        )
    return tensor


def _kept(tensor: Tensor, name: str, shape: tuple[int, ...], keep: list[Tensor]) -> int:
    """The address of a float32 copy that lives as long as `keep`."""
    keep.append(_checked(tensor.detach().float().contiguous(), name, torch.float32, shape))
    return keep[-1].data_ptr()


def _fp4_struct(packed: PackedFp4, keep: list[Tensor]) -> Fp4Struct:
    if bool((packed.scales >= _FIRST_BAD_SCALE[packed.format]).any()):
        raise ValueError(f"{packed} holds a scale that is negative, above 2^112 or not a number")
    out, inp = packed.shape
    codes = _checked(packed.codes.contiguous(), "codes", torch.uint8, (out, inp // 2))
    scales = _checked(packed.scales.contiguous(), "scales", torch.uint8, (out, inp // packed.format.block))
    keep += [codes, scales]
    number = list(Fp4Format).index(packed.format)
    return Fp4Struct(codes.data_ptr(), scales.data_ptr(), out, inp, float(packed.tensor_scale), number)


def _layer_struct(config: DecoderConfig, layer: LayerWeights, keep: list[Tensor]) -> LayerStruct:
    q_width, kv_width = config.num_heads * config.d_head, config.num_kv_heads * config.d_head
    shapes = {
        "q": (q_width, config.d_model),
        "k": (kv_width, config.d_model),
        "v": (kv_width, config.d_model),
        "o": (config.d_model, q_width),
        "gate": (config.d_ffn, config.d_model),
        "up": (config.d_ffn, config.d_model),
        "down": (config.d_model, config.d_ffn),
    }
    matrices: dict[str, PackedFp4] = {name: getattr(layer, name) for name in shapes}
    for name, matrix in matrices.items():
        if matrix.shape != shapes[name]:
            raise ValueError(f"{name} must be {shapes[name]}, not {matrix.shape}")
    if len({matrix.format for matrix in matrices.values()}) > 1:
        raise ValueError("the matrices of one layer must share one FP4 format")
    return LayerStruct(
        _kept(layer.attention_norm, "attention_norm", (config.d_model,), keep),
        _kept(layer.ffn_norm, "ffn_norm", (config.d_model,), keep),
        *(_fp4_struct(matrix, keep) for matrix in matrices.values()),
    )


def _check_config(config: DecoderConfig, layers: Sequence[LayerWeights]) -> None:
    if len(layers) != config.num_layers:
        raise ValueError(f"a decoder of {config.num_layers} layers was given {len(layers)}")
    for name in ("d_model", "d_ffn", "d_head"):
        if getattr(config, name) % TILE:
            raise ValueError(f"the native decoder needs {name} divisible by {TILE}, not {getattr(config, name)}")
    if config.d_head > MAX_HEAD_WIDTH:
        raise ValueError(f"the native decoder's heads are at most {MAX_HEAD_WIDTH} wide, not {config.d_head}")
    if config.num_heads // config.num_kv_heads > MAX_HEADS_PER_GROUP:
        raise ValueError(f"at most {MAX_HEADS_PER_GROUP} heads share a key/value head")


def _cache_struct(config: DecoderConfig, cache: KvTensors) -> CacheStruct:
    shape = (config.num_layers, cache.k.shape[1], config.num_kv_heads, cache.k.shape[3], config.d_head)
    if cache.k.dtype not in (torch.bfloat16, torch.int8):
        raise ValueError(f"the native decoder's cache holds bfloat16 or int8, not {cache.k.dtype}")
    scales: list[int | None] = [None, None]
    for name, tensor in (("k", cache.k), ("v", cache.v)):
        _checked(tensor, name, cache.k.dtype, shape)
    if cache.k.dtype == torch.int8:
        if cache.k_scale is None or cache.v_scale is None:
            raise ValueError("an int8 cache needs k_scale and v_scale")
        scales = [
            _checked(cache.k_scale, "k_scale", torch.float32, shape[:-1]).data_ptr(),
            _checked(cache.v_scale, "v_scale", torch.float32, shape[:-1]).data_ptr(),
        ]
    is_int8 = int(cache.k.dtype == torch.int8)
    return CacheStruct(cache.k.data_ptr(), cache.v.data_ptr(), *scales, shape[1], shape[3], is_int8)
