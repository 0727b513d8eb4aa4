"""One FP4 matrix times one vector: the native kernel against memory bandwidth, bitsandbytes and torch's int4.

    python -m benchmarks.fp4_gemv --threads 2

The matrices of one row of the table differ at every call and exceed the caches together, so each is read from memory;
`--cached` uses one matrix again and again. Times are medians of interleaved rounds; ratios are medians of the ratios
within a round. Above 1 means that the native kernel is faster. The last line is one JSON object.
"""

import argparse
import itertools
import json
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from benchmarks.measure import Work, bandwidth_work, ratio, rounded, take_turns
from model.fp4 import Fp4Format, PackedFp4
from model.kernels.native import Activation, NativeLinear, NativePool

SETS_BYTES = 192 << 20  # of weights that take turns, per rival
INT4_GROUP = 32


def main() -> None:
    arguments = parser().parse_args()
    torch.set_num_threads(arguments.threads)
    pool = NativePool(arguments.threads, pinned=arguments.pinned)
    size = arguments.size
    copies = 1 if arguments.cached else SETS_BYTES // (size * size // 2)
    results = {"threads": arguments.threads, "size": size, "cached": arguments.cached}
    for num_rows in arguments.rows:
        x = torch.randn(num_rows, size)
        works: dict[str, Work] = {"read": bandwidth_work(pool, num_bytes(size, Fp4Format.NVFP4))}
        for format, activation in itertools.product(Fp4Format, Activation):
            name = f"native {format.value} {activation.name.lower()}"
            works[name] = native_work(random_packed(size, format), x, copies, pool, activation)
        works |= rival_works(size, x, copies)
        times = take_turns(works, arguments.rounds, calls_a_round=max(4, copies))
        print_table(num_rows, size, times)
        if num_rows == 1:
            results |= ratios_of(size, times)
    print(json.dumps(results))


def ratios_of(size: int, times: dict[str, list[float]]) -> dict[str, float | None]:
    """The figures of the last line, for NVFP4 with 8-bit activations."""
    native = "native nvfp4 int8"
    return {
        "of_bandwidth": rounded(ratio(times, "read", native)),
        "vs_bitsandbytes": rounded(ratio(times, "bitsandbytes fp4", native)),
        "vs_torch_int4": rounded(ratio(times, "torch int4", native)),
    }


def num_bytes(size: int, format: Fp4Format) -> int:
    """Codes and scales of a square matrix."""
    return size * size // 2 + size * size // format.block


def random_packed(size: int, format: Fp4Format) -> PackedFp4:
    """Random codes under scales near one: speed does not depend on values."""
    near_one = 0x38 if format is Fp4Format.NVFP4 else 127
    scales = torch.randint(near_one - 2, near_one + 3, (size, size // format.block), dtype=torch.uint8)
    codes = torch.randint(0, 256, (size, size // 2), dtype=torch.uint8)
    return PackedFp4(format, codes, scales, torch.tensor(1.0), (size, size))


def native_work(packed: PackedFp4, x: Tensor, copies: int, pool: NativePool, activation: Activation) -> Work:
    layers = itertools.cycle([NativeLinear(packed, pool, activation) for _ in range(copies)])
    return lambda: next(layers)(x)


# --- rivals ----------------------------------------------------------------------------------------------------------


def rival_works(size: int, x: Tensor, copies: int) -> dict[str, Work]:
    """Those that are installed and run here."""
    works: dict[str, Work] = {}
    for name, build in {"torch int4": torch_int4_work, "bitsandbytes fp4": bitsandbytes_work}.items():
        try:
            works[name] = build(size, x, copies)
            works[name]()
        except ImportError as error:
            print(f"{name}: skipped, {error}. pip install bitsandbytes")
        except (RuntimeError, NotImplementedError) as error:
            works.pop(name, None)
            print(f"{name}: skipped, it does not run here: {error}")
    return works


def torch_int4_work(size: int, x: Tensor, copies: int) -> Work:
    """Torch's own int4 weights, bfloat16 activations: what torchao runs on a CPU."""
    codes = torch.randint(0, 16, (size, size), dtype=torch.int32)
    scales_and_zeros = torch.ones(size // INT4_GROUP, size, 2, dtype=torch.bfloat16)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
    weights = itertools.cycle([(packed.clone(), scales_and_zeros.clone()) for _ in range(copies)])
    rows = x.bfloat16()
    multiply: Callable[..., Tensor] = torch.ops.aten._weight_int4pack_mm_for_cpu

    def work() -> Tensor:
        weight, scales = next(weights)
        return multiply(rows, weight, INT4_GROUP, scales)

    return work


def bitsandbytes_work(size: int, x: Tensor, copies: int) -> Work:
    import bitsandbytes

    weight = torch.randn(size, size) / size**0.5

    def layer() -> torch.nn.Module:
        linear = bitsandbytes.nn.LinearFP4(size, size, bias=False, compute_dtype=torch.bfloat16)
        linear.weight.data.copy_(weight)
        return linear.to("cpu").eval()  # it repacks for the CPU in inference only

    layers = itertools.cycle([layer() for _ in range(copies)])
    rows = x.bfloat16()

    def work() -> Tensor:
        with torch.inference_mode():
            return next(layers)(rows)

    return work


# --- output ----------------------------------------------------------------------------------------------------------


def print_table(num_rows: int, size: int, times: dict[str, list[float]]) -> None:
    gigabytes = num_bytes(size, Fp4Format.NVFP4) / median(times["read"]) / 1e9
    print(f"\n{size}x{size}, {num_rows} rows; reading runs at {gigabytes:.1f} GB/s")
    print(f"{'':28}{'median µs':>10}{'GB/s':>8}")
    for name, seconds in times.items():
        if name == "read":
            continue
        format = Fp4Format.NVFP4 if "nvfp4" in name else Fp4Format.MXFP4  # the rivals' blocks are at least as large
        print(f"{name:28}{median(seconds) * 1e6:10.0f}{num_bytes(size, format) / median(seconds) / 1e9:8.1f}")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pinned", action="store_true", help="tie worker threads to CPUs")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cached", action="store_true", help="use one matrix again and again")
    return parser


if __name__ == "__main__":
    main()
