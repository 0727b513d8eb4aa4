"""Decode steps and prefill of the `nano` shapes: the native decoder against llama.cpp, eager torch and memory.

    python -m benchmarks.decode --threads 2 --gguf SmolLM2-135M-Instruct.Q4_1.gguf

A step is one token of each session through all layers and the text head, at a fixed context length. Rivals take turns;
ratios are medians over turns, and above 1 means that the native decoder is faster. llama.cpp runs the file's weights
requantized to Q4_0 and to MXFP4, with and without flash attention, and the faster of the two counts. The limit is the
time in which this machine reads the step's weights, keys and values once. `--busy` adds the native step beside a busy
process. The last line is one JSON object.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks.measure import Work, bandwidth_work, percentile, ratio, rounded, seconds_of, take_turns
from model.cache import SlotCache
from model.decoder import Decoder
from model.fp4 import Fp4Format, PackedFp4
from model.kernels.native import Activation, KvTensors, LayerWeights, NativeDecoder, NativeLinear, NativePool
from model.presets import nano
from model.rotary import rotary_table

CONFIG = nano().decoder
NUM_TOKENS = nano().vocab.text
PREFILL = 512
NATIVE, NATIVE_INT8_KV, EAGER, LIMIT = "native", "native int8 kv", "torch bf16", "limit"
BUSY_STEPS = 400


@dataclass(frozen=True, slots=True)
class Case:
    """How many sessions step together, and how many positions each already has."""

    batch: int
    context: int

    @staticmethod
    def parse(text: str) -> "Case":
        batch, context = text.split("x")
        return Case(int(batch), int(context))


@dataclass(frozen=True, slots=True)
class Weights:
    """Random FP4 weights of the `nano` shapes: speed does not depend on values."""

    layers: list[LayerWeights]
    head: PackedFp4

    @property
    def num_bytes(self) -> int:
        matrices = [
            getattr(layer, name) for layer in self.layers for name in ("q", "k", "v", "o", "gate", "up", "down")
        ]
        return sum(matrix.num_bytes for matrix in [*matrices, self.head])


def random_weights(format: Fp4Format) -> Weights:
    near_one = 0x38 if format is Fp4Format.NVFP4 else 127

    def packed(out: int, inp: int) -> PackedFp4:
        codes = torch.randint(0, 256, (out, inp // 2), dtype=torch.uint8)
        scales = torch.randint(near_one - 2, near_one + 3, (out, inp // format.block), dtype=torch.uint8)
        return PackedFp4(format, codes, scales, torch.tensor(inp**-0.5 / 3), (out, inp))

    d, q, kv = CONFIG.d_model, CONFIG.num_heads * CONFIG.d_head, CONFIG.num_kv_heads * CONFIG.d_head
    layers = [
        LayerWeights(
            attention_norm=torch.ones(d),
            q=packed(q, d),
            k=packed(kv, d),
            v=packed(kv, d),
            o=packed(d, q),
            ffn_norm=torch.ones(d),
            gate=packed(CONFIG.d_ffn, d),
            up=packed(CONFIG.d_ffn, d),
            down=packed(d, CONFIG.d_ffn),
        )
        for _ in range(CONFIG.num_layers)
    ]
    return Weights(layers, packed(NUM_TOKENS, d))


class NativeModel:
    """The native decoder and head over a cache of `num_slots` slots."""

    def __init__(self, weights: Weights, pool: NativePool, activation: Activation, kv: torch.dtype, case: Case) -> None:
        shape = (CONFIG.num_layers, case.batch, CONFIG.num_kv_heads, case.context + 1, CONFIG.d_head)
        k, v = torch.zeros(shape, dtype=kv), torch.zeros(shape, dtype=kv)
        scales = (torch.ones(shape[:-1]), torch.ones(shape[:-1])) if kv == torch.int8 else (None, None)
        norm = torch.ones(CONFIG.d_model)
        self._decoder = NativeDecoder(CONFIG, weights.layers, norm, KvTensors(k, v, *scales), pool, activation)
        self._head = NativeLinear(weights.head, pool, activation)
        self._case = case

    def step(self) -> Work:
        """One position of every slot, with logits."""
        index = torch.full((self._case.batch,), self._case.context)
        return self._work(torch.arange(self._case.batch), index, logits_from=0)

    def prefill(self) -> Work:
        """All positions of one slot, with logits for the last."""
        index = torch.arange(self._case.context)
        return self._work(torch.zeros_like(index), index, logits_from=-1)

    def _work(self, slot_N: Tensor, index_N: Tensor, logits_from: int) -> Work:
        x_ND = torch.randn(len(slot_N), CONFIG.d_model)
        cos_NR, sin_NR = rotary_table(index_N, CONFIG.d_head, CONFIG.rope_theta)
        return lambda: self._head(self._decoder.forward(x_ND, slot_N, index_N, cos_NR, sin_NR)[logits_from:])


def eager_step(context: int) -> Work:
    """The reference decoder in bfloat16 with one session."""
    decoder = Decoder(CONFIG).bfloat16().eval()
    head = torch.randn(NUM_TOKENS, CONFIG.d_model, dtype=torch.bfloat16)
    cache = SlotCache(CONFIG, num_slots=1, capacity=context + 1, dtype=torch.bfloat16)
    cache.append(0, [0] * context)
    rows, _ = cache.append(0, [1])
    x_ND = torch.randn(1, CONFIG.d_model)

    def work() -> Tensor:
        with torch.inference_mode():
            return decoder.forward_cached(x_ND, rows, cache).bfloat16() @ head.T

    return work


def read_bytes(weights: Weights, case: Case) -> int:
    """What a step cannot avoid reading: weights once, and the keys and values of every session in bfloat16."""
    per_position = CONFIG.num_layers * CONFIG.num_kv_heads * CONFIG.d_head * 2 * 2
    return weights.num_bytes + case.batch * (case.context + 1) * per_position


# --- llama.cpp -------------------------------------------------------------------------------------------------------


class Llama:
    """llama.cpp in several formats, or nothing where it is not installed or no file was given."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._threads: int = arguments.threads
        self._models = {}
        if arguments.gguf is None:
            print("llama.cpp: skipped. pip install llama-cpp-python, and give a file with --gguf")
            return
        try:
            from benchmarks import llamacpp
        except ImportError as error:
            print(f"llama.cpp: skipped, {error}. pip install llama-cpp-python (it is built from source)")
            return
        folder = arguments.gguf_folder or arguments.gguf.parent
        for format in llamacpp.FORMATS:
            self._models[format] = llamacpp.LlamaModel(llamacpp.requantize(arguments.gguf, format, folder))
        self._step = llamacpp.LlamaStep

    @contextmanager
    def works(self, case: Case, prefill: bool = False) -> Iterator[dict[str, Work]]:
        """By format and attention: one decode step each, or one prefill."""
        steps = {
            f"llama.cpp {format}{' flash' if flash else ''}": self._step(
                model, case.batch, case.context, self._threads, flash
            )
            for format, model in self._models.items()
            for flash in (False, True)
        }
        yield {name: step.prefill if prefill else step.step for name, step in steps.items()}
        for step in steps.values():
            step.close()


def best_of(times: dict[str, list[float]], format: str) -> str:
    """The name under which a format ran fastest, or would have run."""
    names = [f"llama.cpp {format}", f"llama.cpp {format} flash"]
    return min(names, key=lambda name: median(times[name])) if names[0] in times else names[0]


# --- what is measured ------------------------------------------------------------------------------------------------


def measure_step(
    case: Case, weights: Weights, pool: NativePool, llama: Llama, arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """Seconds of one decode step by every rival."""
    native = NativeModel(weights, pool, arguments.activation, torch.bfloat16, case)
    native_int8 = NativeModel(weights, pool, arguments.activation, torch.int8, case)
    works = {LIMIT: bandwidth_work(pool, read_bytes(weights, case))}
    works |= {NATIVE: native.step(), NATIVE_INT8_KV: native_int8.step()}
    if case.batch == 1:
        works[EAGER] = eager_step(case.context)
    with llama.works(case) as rivals:
        return take_turns(works | rivals, arguments.rounds, calls_a_round=5)


def measure_prefill(
    weights: Weights, pool: NativePool, llama: Llama, arguments: argparse.Namespace
) -> dict[str, list[float]]:
    case = Case(1, PREFILL)
    works = {NATIVE: NativeModel(weights, pool, arguments.activation, torch.bfloat16, case).prefill()}
    with llama.works(case, prefill=True) as rivals:
        return take_turns(works | rivals, max(5, arguments.rounds // 3))


def measure_busy(weights: Weights, pool: NativePool, arguments: argparse.Namespace) -> list[float]:
    """Seconds of native steps while another process keeps one core busy."""
    step = NativeModel(weights, pool, arguments.activation, torch.bfloat16, Case(1, 512)).step()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            return [seconds_of(step) for _ in range(BUSY_STEPS)]
        finally:
            neighbour.kill()


def step_ratios(case: Case, times: dict[str, list[float]]) -> dict[str, float | None]:
    """Figures of the last line that this case decides."""
    q4_0, mxfp4 = best_of(times, "q4_0"), best_of(times, "mxfp4")
    if case == Case(1, 512):
        return {
            "vs_llamacpp_mxfp4_b1": rounded(ratio(times, mxfp4, NATIVE)),
            "vs_llamacpp_q4_0_b1": rounded(ratio(times, q4_0, NATIVE)),
            "vs_torch_bf16_b1": rounded(ratio(times, EAGER, NATIVE)),
            "of_memory_limit_b1": rounded(ratio(times, LIMIT, NATIVE)),
        }
    if case == Case(8, 512):
        return {"vs_llamacpp_b8": rounded(ratio(times, q4_0, NATIVE))}
    if case == Case(8, 2048):
        return {"int8_kv_vs_bf16_b8_2048": rounded(ratio(times, NATIVE, NATIVE_INT8_KV))}
    return {}


# --- output ----------------------------------------------------------------------------------------------------------


def print_step(case: Case, times: dict[str, list[float]]) -> None:
    print(f"\n{case.batch} sessions, context {case.context}")
    print_times(times, case.batch)


def print_times(times: dict[str, list[float]], tokens: int) -> None:
    print(f"{'':26}{'median ms':>10}{'p95':>9}{'p99':>9}{'tokens/s':>10}")
    for name, seconds in times.items():
        middle, p95, p99 = median(seconds), percentile(seconds, 95), percentile(seconds, 99)
        print(f"{name:26}{middle * 1e3:10.2f}{p95 * 1e3:9.2f}{p99 * 1e3:9.2f}{tokens / middle:10.0f}")


def main() -> None:
    arguments = parser().parse_args()
    arguments.activation = Activation[arguments.activation.upper()]
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    pool = NativePool(arguments.threads, pinned=arguments.pinned)
    weights = random_weights(Fp4Format(arguments.format))
    llama = Llama(arguments)
    results: dict[str, object] = {"threads": arguments.threads, "format": arguments.format}
    for case in arguments.cases:
        times = measure_step(case, weights, pool, llama, arguments)
        print_step(case, times)
        results |= step_ratios(case, times)
    times = measure_prefill(weights, pool, llama, arguments)
    print(f"\nprefill of {PREFILL} positions")
    print_times(times, PREFILL)
    results["prefill_vs_llamacpp"] = rounded(ratio(times, best_of(times, "q4_0"), NATIVE))
    if arguments.busy:
        busy = measure_busy(weights, pool, arguments)
        print("\n1 session, context 512, beside a busy process")
        print_times({NATIVE: busy}, 1)
        results["busy_p99_over_p50"] = rounded(percentile(busy, 99) / median(busy))
    print(json.dumps(results))


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--threads", type=int, default=2)
    result.add_argument("--pinned", action="store_true", help="tie worker threads to CPUs")
    result.add_argument("--format", choices=[format.value for format in Fp4Format], default="nvfp4")
    result.add_argument("--activation", choices=["int8", "int16"], default="int8")
    cases = [Case(1, 128), Case(1, 512), Case(1, 2048), Case(4, 512), Case(8, 512), Case(8, 2048), Case(16, 512)]
    result.add_argument("--cases", type=Case.parse, nargs="+", default=cases, help="sessions x context, such as 8x512")
    result.add_argument("--rounds", type=int, default=15)
    result.add_argument("--gguf", type=Path, help="a GGUF file of the same shapes, for llama.cpp")
    result.add_argument("--gguf-folder", type=Path, help="where its requantized copies go; beside it by default")
    result.add_argument("--busy", action="store_true", help="also time steps beside a busy process")
    return result


if __name__ == "__main__":
    main()
