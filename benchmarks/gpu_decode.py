"""A decode step of a large model on one GPU, with random FP4 weights made there, against the memory's own speed.

    python -m benchmarks.gpu_decode                                   # omniweave_80b in 45 GB: about 5 minutes
    TRITON_INTERPRET=1 python -m benchmarks.gpu_decode --preset tiny --device cpu   # the code path, without a GPU

Steps are timed with device events around graph replays, medians; weights are far larger than any cache. `of_copy` is
the bytes a step must read (packed weights, and keys and values of the context) over its time, as a share of the bytes
per second of a device-to-device copy in the same run. A second table compares one FP4 matrix-vector product with
bfloat16 cuBLAS. Contexts that do not fit beside the weights are skipped and named. The last line is one JSON object.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

import torch
from torch import Tensor

from model.cache import SlotCache
from model.config import DecoderConfig
from model.fp4 import Fp4Format, PackedFp4
from model.kernels.native import LayerWeights
from model.presets import PRESETS
from model.rotary import rotary_table

TICK_S = 0.25
STEPS_PER_TICK = 8  # TickConfig.max_steps
BATCHES = (1, 2, 4, 8, 16, 32, 64)
CONTEXTS = (128, 2048)
SPARE_BYTES = 4e9  # left free beside weights and cache
MATRICES = ((8_192, 8_192), (8_192, 22_016), (44_032, 8_192))  # out, in of the 80b preset's layers
BAR_MS = 17.0


@dataclass(frozen=True, slots=True)
class Step:
    """One measured decode step."""

    batch: int
    context: int
    ms: float
    num_bytes: int


class Timer:
    """Medians of a device's or a processor's time."""

    def __init__(self, device: torch.device, repeats: int) -> None:
        self._device, self._repeats = device, repeats

    def median_ms(self, run: Callable[[], object]) -> float:
        run()
        return statistics.median(self._once_ms(run) for _ in range(self._repeats))

    def _once_ms(self, run: Callable[[], object]) -> float:
        if self._device.type != "cuda":
            started = time.perf_counter()
            run()
            return (time.perf_counter() - started) * 1e3
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        run()
        last.record()
        last.synchronize()
        return first.elapsed_time(last)


def random_packed(out: int, inp: int, format: Fp4Format, device: torch.device) -> PackedFp4:
    """Any codes, under scales that keep a row of outputs near its inputs' size."""
    codes = torch.randint(0, 256, (out, inp // 2), dtype=torch.uint8, device=device)
    one = 0x38 if format is Fp4Format.NVFP4 else 127 - 6  # 1.0 in E4M3; 2^-6 in E8M0
    scales = torch.full((out, inp // format.block), one, dtype=torch.uint8, device=device)
    scale = inp**-0.5 / 3 if format is Fp4Format.NVFP4 else 1.0  # random codes have a deviation of about 2.7
    return PackedFp4(format, codes, scales, torch.tensor(scale, device=device), (out, inp))


def random_layer(config: DecoderConfig, format: Fp4Format, device: torch.device) -> LayerWeights:
    """One layer on the device."""
    q_width, kv_width = config.num_heads * config.d_head, config.num_kv_heads * config.d_head

    def packed(out: int, inp: int) -> PackedFp4:
        return random_packed(out, inp, format, device)

    return LayerWeights(
        attention_norm=torch.ones(config.d_model, device=device),
        q=packed(q_width, config.d_model),
        k=packed(kv_width, config.d_model),
        v=packed(kv_width, config.d_model),
        o=packed(config.d_model, q_width),
        ffn_norm=torch.ones(config.d_model, device=device),
        gate=packed(config.d_ffn, config.d_model),
        up=packed(config.d_ffn, config.d_model),
        down=packed(config.d_model, config.d_ffn),
    )


def layer_bytes(config: DecoderConfig, format: Fp4Format) -> int:
    """Codes and scales of one layer."""
    q_width, kv_width = config.num_heads * config.d_head, config.num_kv_heads * config.d_head
    weights = config.d_model * (2 * q_width + 2 * kv_width + 3 * config.d_ffn)
    return weights // 2 + weights // format.block


def position_bytes(config: DecoderConfig) -> int:
    """Keys and values of one position in bfloat16."""
    return 2 * 2 * config.num_layers * config.num_kv_heads * config.d_head


def copy_bytes_per_s(device: torch.device, timer: Timer, num_bytes: int) -> float:
    """Bytes read and written by a copy, per second."""
    source = torch.randint(0, 256, (num_bytes,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * num_bytes / (timer.median_ms(lambda: target.copy_(source)) / 1e3)


def measure_steps(
    config: DecoderConfig, format: Fp4Format, device: torch.device, timer: Timer, arguments: argparse.Namespace
) -> list[Step]:
    """The table of decode steps."""
    from model.kernels.cuda_graph import GraphedDecoder, capture_cuda
    from model.kernels.gpu_attention import AttentionKernel
    from model.kernels.gpu_decoder import GpuDecoder, StepInputs

    if device.type == "cuda":
        torch.cuda.empty_cache()  # what was measured before still counts as taken
    weight_bytes = config.num_layers * layer_bytes(config, format)
    free = torch.cuda.mem_get_info()[0] - weight_bytes - SPARE_BYTES if device.type == "cuda" else 1e9
    cells = [(batch, context) for context in arguments.contexts for batch in arguments.batches]
    fitting = [cell for cell in cells if cell[0] * cell[1] * position_bytes(config) <= free]
    for batch, context in sorted(set(cells) - set(fitting)):
        needed = batch * context * position_bytes(config)
        print(f"skipped: {batch} sessions of {context} positions need {needed / 1e9:.0f} GB")
    if not fitting:
        raise SystemExit(f"no batch and context fit {free / 1e9:.0f} GB beside {weight_bytes / 1e9:.0f} GB of weights")

    # One block of cache memory; each cell looks at it as its own batch and context.
    flat_shape = (
        config.num_layers,
        max(batch * context for batch, context in fitting),
        config.num_kv_heads,
        config.d_head,
    )
    cache = SlotCache(replace(config, num_layers=1), 1, 1, torch.bfloat16, str(device))
    flat_k, flat_v = (torch.randn(flat_shape, dtype=torch.bfloat16, device=device) for _ in range(2))
    layers = (random_layer(config, format, device) for _ in range(config.num_layers))
    decoder = GpuDecoder(config, layers, torch.ones(config.d_model), cache, AttentionKernel(arguments.attention))
    capture = capture_cuda if device.type == "cuda" else lambda step: step
    steps = []
    for batch, context in fitting:
        shape = (config.num_layers, batch, config.num_kv_heads, context, config.d_head)
        cache.k, cache.v = (flat[:, : batch * context].reshape(shape) for flat in (flat_k, flat_v))
        slot = torch.arange(batch, device=device)
        index = torch.full((batch,), context - 1, device=device)
        cos, sin = rotary_table(index, config.d_head, config.rope_theta)
        inputs = StepInputs(torch.randn(batch, config.d_model, device=device), slot, index, cos, sin)
        graphed = GraphedDecoder(decoder, (batch,), capture)
        hidden = graphed.decode(inputs)
        if not bool(hidden.isfinite().all()):
            raise SystemExit(f"batch {batch}, context {context}: a result is not finite")
        ms = timer.median_ms(lambda graphed=graphed, inputs=inputs: graphed.decode(inputs))
        steps.append(Step(batch, context, ms, weight_bytes + batch * context * position_bytes(config)))
        del graphed
    return steps


def measure_matrices(device: torch.device, timer: Timer, format: Fp4Format, shapes: list[tuple[int, int]]) -> float:
    """Print FP4 against bfloat16 for one row; returns the median ratio of their times."""
    from model.kernels.triton_fp4 import Pass, TritonLinear

    print(f"\n{'matrix':>16}{'FP4 us':>10}{'bf16 us':>10}{'ratio':>8}")
    ratios = []
    for out, inp in shapes:
        copies = 1 + int(2e8 // (out * inp // 2)) if device.type == "cuda" else 1  # in turn, past any cache
        linears = [TritonLinear(random_packed(out, inp, format, device)) for _ in range(copies)]
        weights = [torch.randn(out, inp, dtype=torch.bfloat16, device=device) for _ in range(copies)]
        x: Tensor = torch.randn(1, inp, dtype=torch.bfloat16, device=device)

        def fp4(linears: list[TritonLinear] = linears, x: Tensor = x) -> None:
            for linear in linears:
                linear.multiply(x, Pass.DECODE)

        def bf16(weights: list[Tensor] = weights, x: Tensor = x) -> None:
            for weight in weights:
                torch.nn.functional.linear(x, weight)

        if device.type == "cuda":
            fp4, bf16 = graph_of(fp4), graph_of(bf16)
        fp4_us, bf16_us = (timer.median_ms(run) * 1e3 / copies for run in (fp4, bf16))
        ratios.append(bf16_us / fp4_us)
        print(f"{f'{out} x {inp}':>16}{fp4_us:>10.1f}{bf16_us:>10.1f}{ratios[-1]:>8.2f}")
    return statistics.median(ratios)


def graph_of(run: Callable[[], None]) -> Callable[[], None]:
    """Its replay, so that launches are not what is timed."""
    from model.kernels.cuda_graph import capture_cuda

    return capture_cuda(run)


def report(steps: list[Step], copy_rate: float) -> dict[str, float]:
    """Print the table; returns what the JSON line says of it."""
    print(f"\n{'batch':>6}{'context':>9}{'ms':>10}{'GB/s':>8}{'of copy':>9}{'tokens/s':>10}{'steps a tick':>14}")
    for step in steps:
        rate = step.num_bytes / step.ms * 1e3
        steps_a_tick = int(TICK_S * 1e3 / step.ms)
        print(
            f"{step.batch:>6}{step.context:>9}{step.ms:>10.2f}{rate / 1e9:>8.0f}{rate / copy_rate:>9.1%}"
            f"{step.batch / step.ms * 1e3:>10.1f}{steps_a_tick:>14}"
        )
    fits = {
        context: max(
            (s.batch for s in steps if s.context == context and s.ms * STEPS_PER_TICK <= TICK_S * 1e3), default=0
        )
        for context in sorted({step.context for step in steps})
    }
    for context, sessions in fits.items():
        print(f"sessions whose {STEPS_PER_TICK} steps fit a tick at context {context}: {sessions} of those measured")
    first = steps[0]
    return {
        "step_ms_b1": round(first.ms, 3),
        "of_copy_b1": round(first.num_bytes / first.ms * 1e3 / copy_rate, 4),
        "bar_over_step_b1": round(BAR_MS / first.ms, 4),
        "tokens_per_s_best": round(max(step.batch / step.ms * 1e3 for step in steps), 1),
        **{f"sessions_at_{context}": sessions for context, sessions in fits.items()},
    }


def main() -> None:
    arguments = parser().parse_args()
    device = torch.device(arguments.device)
    if find_spec("triton") is None:
        raise SystemExit("the GPU kernels need Triton: pip install 'omniweave-realtime[cuda]'")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA GPU: torch finds none. --preset tiny --device cpu runs the code path without one.")
    config = PRESETS[arguments.preset]().decoder
    if arguments.layers is not None:
        config = replace(config, num_layers=arguments.layers)
    format = Fp4Format(arguments.format)
    is_gpu = device.type == "cuda"
    arguments.batches = arguments.batches or (BATCHES if is_gpu else (1, 2))
    arguments.contexts = arguments.contexts or (CONTEXTS if is_gpu else (8,))
    timer = Timer(device, arguments.repeats if is_gpu else 1)
    name = torch.cuda.get_device_name() if is_gpu else "the CPU, interpreted: these times mean nothing"
    print(f"{arguments.preset}, {config.num_layers} layers, {format.value}, {arguments.attention} attention, on {name}")
    with torch.inference_mode():
        copy_rate = copy_bytes_per_s(device, timer, int(4e9) if is_gpu else int(1e6))
        print(f"copy: {copy_rate / 1e9:.0f} GB/s, read and written")
        vs_bf16 = measure_matrices(device, timer, format, list(MATRICES) if is_gpu else [(64, 128)])
        steps = measure_steps(config, format, device, timer, arguments)
    result = report(steps, copy_rate)
    print(json.dumps({"device": name, **result, "matrix_vs_bf16": round(vs_bf16, 3)}))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--preset", choices=list(PRESETS), default="omniweave_80b")
    result.add_argument("--layers", type=int, help="instead of the preset's own number")
    result.add_argument("--format", choices=[format.value for format in Fp4Format], default="nvfp4")
    result.add_argument("--attention", choices=("triton", "flash", "sdpa"), default="triton")
    result.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu needs TRITON_INTERPRET=1")
    result.add_argument("--batches", type=int, nargs="+", help="sessions in a step (default: 1 to 64)")
    result.add_argument("--contexts", type=int, nargs="+", help="positions each holds (default: 128 and 2048)")
    result.add_argument("--repeats", type=int, default=20, help="timed runs of each step")
    return result


if __name__ == "__main__":
    main()
