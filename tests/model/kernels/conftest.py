"""GPU kernels under test run for real where there is a GPU, else through Triton's interpreter on the CPU."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read where a kernel is defined, so before its module is imported


@pytest.fixture(scope="session")
def triton_device() -> Iterator[torch.device]:
    """Where Triton kernels run here."""
    if torch.cuda.is_available():
        yield torch.device("cuda")
        return
    from triton.runtime import interpreter

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "_dot_scaled_scale_to_f32", _scale_to_f32(interpreter._dot_scaled_scale_to_f32))
        patch.setattr(interpreter.InterpreterBuilder, "create_dot_scaled", _exact_dot_scaled(interpreter))
        yield torch.device("cpu")


def _scale_to_f32(decode_e8m0):
    """Triton 3.9 compiles E4M3 scales of `tl.dot_scaled` as such, but its interpreter reads them as E8M0."""

    def decode(handle, compute_type):
        if handle.dtype.is_int():
            return decode_e8m0(handle, compute_type)
        return torch.from_numpy(handle.data.view(np.uint8)).view(torch.float8_e4m3fn).float().numpy()

    return decode


def _exact_dot_scaled(interpreter):
    """A tile's product with one rounding.

    float64 holds these sums of 14-bit products exactly, so a row's result cannot depend on its place in the tile, as it
    does in the interpreter's own call of a matrix library.
    """

    def create_dot_scaled(self, lhs, lhs_scale, lhs_format, rhs, rhs_scale, rhs_format, fast_math, lhs_k, rhs_k, acc):
        prepare, compute_type = interpreter._prepare_dot_scaled_operand, interpreter.tl.bfloat16
        left = prepare(lhs, lhs_scale, lhs_format, lhs_k, compute_type, is_rhs=False).astype(np.float64)
        right = prepare(rhs, rhs_scale, rhs_format, rhs_k, compute_type, is_rhs=True).astype(np.float64)
        with np.errstate(invalid="ignore"):
            result = (left @ right + acc.data).astype(np.float32)
        return interpreter.TensorHandle(result, interpreter.tl.float32)

    return create_dot_scaled
