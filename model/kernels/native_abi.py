"""The C ABI of the native kernels as ctypes sees it: a mirror of native/abi.h, and the loading of the library.

Nothing is loaded at import. `load` finds the library that the package's build put beside this file.
"""

import ctypes
import functools
from ctypes import POINTER, c_float, c_int32, c_int64, c_uint64, c_void_p
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


class NativeUnavailable(RuntimeError):
    """The library was not built, or cannot be loaded here."""


class Fp4Struct(ctypes.Structure):
    _fields_ = (
        ("codes", c_void_p),
        ("scales", c_void_p),
        ("out", c_int64),
        ("in_", c_int64),
        ("tensor_scale", c_float),
        ("format", c_int32),
    )


class DecoderConfigStruct(ctypes.Structure):
    _fields_ = (
        ("num_layers", c_int32),
        ("d_model", c_int32),
        ("num_heads", c_int32),
        ("num_kv_heads", c_int32),
        ("d_head", c_int32),
        ("d_ffn", c_int32),
        ("norm_eps", c_float),
        ("activation", c_int32),
    )


class LayerStruct(ctypes.Structure):
    _fields_ = (
        ("attention_norm", c_void_p),
        ("ffn_norm", c_void_p),
        *((name, Fp4Struct) for name in ("q", "k", "v", "o", "gate", "up", "down")),
    )


class CacheStruct(ctypes.Structure):
    _fields_ = (
        ("k", c_void_p),
        ("v", c_void_p),
        ("k_scale", c_void_p),
        ("v_scale", c_void_p),
        ("num_slots", c_int64),
        ("capacity", c_int64),
        ("kv", c_int32),
    )


class RowsStruct(ctypes.Structure):
    _fields_ = (
        ("x", c_void_p),
        ("slot", c_void_p),
        ("index", c_void_p),
        ("cos", c_void_p),
        ("sin", c_void_p),
        ("hidden", c_void_p),
        ("num_rows", c_int64),
    )


# Name → (result, arguments). Handles are opaque pointers, null after a failure.
_FUNCTIONS = {
    "ow_best_isa": (c_int32, ()),
    "ow_isa_runs": (c_int32, (c_int32,)),
    "ow_pool_create": (c_void_p, (c_int32, c_int32)),
    "ow_pool_destroy": (None, (c_void_p,)),
    "ow_pool_read": (c_uint64, (c_void_p, c_void_p, c_int64)),
    "ow_linear_create": (c_void_p, (POINTER(Fp4Struct), c_int32, c_int32, c_void_p)),
    "ow_linear_forward": (c_int32, (c_void_p, c_void_p, c_int64, c_void_p)),
    "ow_linear_destroy": (None, (c_void_p,)),
    "ow_decoder_create": (
        c_void_p,
        (POINTER(DecoderConfigStruct), POINTER(LayerStruct), c_void_p, POINTER(CacheStruct), c_int32, c_void_p),
    ),
    "ow_decoder_forward": (c_int32, (c_void_p, POINTER(RowsStruct))),
    "ow_decoder_destroy": (None, (c_void_p,)),
}


@functools.cache
def load() -> ctypes.CDLL:
    """The library with its functions typed. Raises `NativeUnavailable` with what to do about it."""
    folder = Path(__file__).parent
    for suffix in EXTENSION_SUFFIXES:
        path = folder / f"_native{suffix}"
        if path.exists():
            break
    else:
        raise NativeUnavailable(
            "the native kernels were not built: install a C++17 compiler and reinstall the package (pip install -e .)"
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise NativeUnavailable(f"the native kernels cannot be loaded here: {error}") from error
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
