"""The native kernels against plain torch, every path of this CPU against the portable one, and rows against company."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from model.config import DecoderConfig
from model.fp4 import Fp4Format, PackedFp4, dequantize, quantize
from model.kernels.native import Activation, Isa, KvTensors, LayerWeights, NativeDecoder, NativeLinear, NativePool
from model.kernels.native_abi import NativeUnavailable, load
from model.rotary import apply_rotary, rotary_table


def runnable_paths() -> list[Isa]:
    try:
        load()
    except NativeUnavailable as reason:
        pytest.skip(str(reason), allow_module_level=True)
    return [isa for isa in Isa if isa.runs_here]


PATHS = runnable_paths()
BEST = PATHS[-1]
FORMATS = list(Fp4Format)
# Round-to-nearest of Gaussian values to 127 steps of the largest of 32 (about 2.1 sigma): 2.1/127/sqrt(12) = 0.5 % of
# their norm, and 256 times less with 16 bits. Weights are exact, so outputs err by as much; doubled for the spread.
LINEAR_ERROR = {Activation.INT8: 1e-2, Activation.INT16: 4e-5}


@pytest.fixture(scope="module")
def pool() -> NativePool:
    return NativePool(2)


def random_packed(out: int, inp: int, format: Fp4Format, seed: int = 0) -> PackedFp4:
    generator = torch.Generator().manual_seed(seed)
    return quantize(torch.randn(out, inp, generator=generator) / inp**0.5, format)


def random_rows(num_rows: int, width: int, seed: int = 1) -> Tensor:
    return torch.randn(num_rows, width, generator=torch.Generator().manual_seed(seed))


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual.double() - expected.double()).norm() / expected.double().norm())


def rounded_activations(x: Tensor, activation: Activation) -> Tensor:
    """What the kernels read: `x` rounded per block of 32 to 8 or 16 bits."""
    limit = 127.0 if activation is Activation.INT8 else 32512.0
    padded = torch.nn.functional.pad(x, (0, -x.shape[-1] % 32)).unflatten(-1, (-1, 32))
    most = padded.abs().amax(-1, keepdim=True)
    steps = torch.where(most > 0, (padded * (limit / most)).round(), 0)
    return (steps.double() * most.double() / limit).flatten(-2)[..., : x.shape[-1]]


@pytest.mark.parametrize("isa", PATHS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("activation", list(Activation))
def test_linear_equals_exact_sums_of_rounded_activations(pool, isa, format, activation):
    packed = random_packed(49, 32 * 5, format)
    x = random_rows(3, 32 * 5)
    expected = rounded_activations(x, activation) @ dequantize(packed).double().T
    actual = NativeLinear(packed, pool, activation, isa)(x)
    assert relative_error(actual, expected) < 1e-6  # float32 sums of ten blocks


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("format", FORMATS)
def test_linear_errs_by_the_rounding_of_activations_only(pool, format, activation):
    packed = random_packed(256, 576, format)
    x = random_rows(16, 576)
    actual = NativeLinear(packed, pool, activation)(x)
    assert relative_error(actual, x.double() @ dequantize(packed).double().T) < LINEAR_ERROR[activation]


def test_an_input_width_of_half_a_block_is_padded(pool):
    packed = random_packed(16, 48, Fp4Format.NVFP4)
    x = random_rows(2, 48)
    assert relative_error(NativeLinear(packed, pool)(x), x @ dequantize(packed).T) < LINEAR_ERROR[Activation.INT8]


@pytest.mark.parametrize("isa", PATHS)
@pytest.mark.parametrize("format", FORMATS)
def test_every_scale_and_code_is_decoded(pool, isa, format):
    num_scales = 127 if format is Fp4Format.NVFP4 else 240  # up to NaN; up to 2^112
    codes = torch.arange(256, dtype=torch.uint8)[: format.block // 2 * 8].reshape(-1, format.block // 2)
    codes = codes.repeat(num_scales // codes.shape[0] + 1, 1)[:num_scales]
    scales = torch.arange(num_scales, dtype=torch.uint8)[:, None]
    packed = PackedFp4(format, codes.contiguous(), scales, torch.tensor(1.0), (num_scales, format.block))
    eye = torch.eye(format.block)
    actual = NativeLinear(packed, pool, isa=isa)(eye).T
    expected = dequantize(packed)
    # One product each of 127 * (1/127) = 1 within rounding. A scale of 2^-127 may be flushed where it meets 0.5.
    torch.testing.assert_close(actual, expected, rtol=3e-7, atol=2.0**-126)


@pytest.mark.parametrize("isa", PATHS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("activation", list(Activation))
def test_paths_agree_bit_for_bit(pool, isa, format, activation):
    packed = random_packed(40, 96, format)
    x = random_rows(5, 96)
    portable = NativeLinear(packed, pool, activation, Isa.PORTABLE)(x)
    assert torch.equal(NativeLinear(packed, pool, activation, isa)(x), portable)


@pytest.mark.parametrize("isa", [isa for isa in PATHS if isa is not Isa.PORTABLE] or PATHS)
@pytest.mark.parametrize("activation", list(Activation))
def test_a_row_is_the_same_in_every_batch_and_place(pool, isa, activation):
    packed = random_packed(80, 192, Fp4Format.NVFP4)
    linear = NativeLinear(packed, pool, activation, isa)
    x = random_rows(300, 192)
    alone = torch.cat([linear(row[None]) for row in x])
    for size in (2, 3, 5, 8, 9, 16, 31, 300):
        assert torch.equal(torch.cat([linear(part) for part in x.split(size)]), alone), f"batches of {size}"


def test_the_number_of_threads_changes_nothing():
    packed = random_packed(512, 256, Fp4Format.NVFP4)
    x = random_rows(7, 256)
    results = [NativeLinear(packed, NativePool(threads), isa=BEST)(x) for threads in (1, 2, 3, 5)]
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize("isa", PATHS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_spoils_its_own_row_only(pool, isa, bad):
    packed = random_packed(32, 64, Fp4Format.MXFP4)
    linear = NativeLinear(packed, pool, isa=isa)
    x = random_rows(3, 64)
    clean = linear(x)
    x[1, 40] = bad
    spoiled = linear(x)
    assert not spoiled[1].isfinite().any()
    assert torch.equal(spoiled[[0, 2]], clean[[0, 2]])


def test_callers_of_one_pool_take_turns(pool):
    linear = NativeLinear(random_packed(256, 256, Fp4Format.NVFP4), pool)
    rows = [random_rows(4, 256, seed) for seed in range(8)]
    expected = [linear(x) for x in rows]
    with ThreadPoolExecutor(4) as executor:
        for _ in range(20):
            assert all(torch.equal(a, b) for a, b in zip(executor.map(linear, rows), expected, strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_computes_alone(pool):
    linear, x = NativeLinear(random_packed(256, 64, Fp4Format.NVFP4), pool), random_rows(3, 64)
    expected = linear(x)
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(linear(x), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_zeros_and_tiny_values_give_zero(pool):
    linear = NativeLinear(random_packed(16, 32, Fp4Format.NVFP4), pool)
    assert torch.equal(linear(torch.full((2, 32), 1e-40)), torch.zeros(2, 16))


def test_wrong_inputs_are_refused(pool):
    linear = NativeLinear(random_packed(16, 32, Fp4Format.NVFP4), pool)
    with pytest.raises(ValueError, match="takes"):
        linear(torch.zeros(1, 33))
    with pytest.raises(ValueError, match="float32"):
        linear(torch.zeros(1, 32, dtype=torch.float64))
    nan_scale = random_packed(16, 32, Fp4Format.NVFP4)
    nan_scale.scales[3, 1] = 0x7F
    with pytest.raises(ValueError, match="not a number"):
        NativeLinear(nan_scale, pool)
    with pytest.raises(ValueError, match="at least one thread"):
        NativePool(0)


def test_the_environment_names_a_path(pool, monkeypatch):
    packed = random_packed(16, 32, Fp4Format.NVFP4)
    monkeypatch.setenv("OMNIWEAVE_ISA", "portable")
    NativeLinear(packed, pool)
    monkeypatch.setenv("OMNIWEAVE_ISA", "mmx")
    with pytest.raises(ValueError, match="mmx"):
        NativeLinear(packed, pool)


# --- the decoder ------------------------------------------------------------------------------------------------------


@dataclass
class Setup:
    """Random weights, a cache, and sequences to run through them."""

    config: DecoderConfig
    layers: list[LayerWeights]
    norm: Tensor


def random_setup(config: DecoderConfig, format: Fp4Format = Fp4Format.NVFP4) -> Setup:
    seeds = itertools.count(10)

    def packed(out: int, inp: int) -> PackedFp4:
        return random_packed(out, inp, format, next(seeds))

    def norm() -> Tensor:
        return 1 + 0.1 * random_rows(1, config.d_model, next(seeds))[0]

    q_width, kv_width = config.num_heads * config.d_head, config.num_kv_heads * config.d_head
    layers = [
        LayerWeights(
            attention_norm=norm(),
            q=packed(q_width, config.d_model),
            k=packed(kv_width, config.d_model),
            v=packed(kv_width, config.d_model),
            o=packed(config.d_model, q_width),
            ffn_norm=norm(),
            gate=packed(config.d_ffn, config.d_model),
            up=packed(config.d_ffn, config.d_model),
            down=packed(config.d_model, config.d_ffn),
        )
        for _ in range(config.num_layers)
    ]
    return Setup(config, layers, norm())


SMALL = DecoderConfig(d_model=64, num_layers=2, num_heads=6, num_kv_heads=2, d_head=32, d_ffn=96)


def empty_cache(config: DecoderConfig, num_slots: int, capacity: int, dtype: torch.dtype) -> KvTensors:
    shape = (config.num_layers, num_slots, config.num_kv_heads, capacity, config.d_head)
    k, v = torch.zeros(shape, dtype=dtype), torch.zeros(shape, dtype=dtype)
    if dtype == torch.bfloat16:
        return KvTensors(k, v)
    return KvTensors(k, v, torch.zeros(shape[:-1]), torch.zeros(shape[:-1]))


class Runner:
    """A native decoder with a cache, fed by (slot, first index, rows)."""

    def __init__(
        self,
        setup: Setup,
        pool: NativePool,
        isa: Isa = BEST,
        activation: Activation = Activation.INT8,
        kv: torch.dtype = torch.bfloat16,
        num_slots: int = 3,
        capacity: int = 64,
    ) -> None:
        self.setup = setup
        self.cache = empty_cache(setup.config, num_slots, capacity, kv)
        self.decoder = NativeDecoder(setup.config, setup.layers, setup.norm, self.cache, pool, activation, isa)

    def run(self, *parts: tuple[int, int, Tensor]) -> list[Tensor]:
        slot = torch.cat([torch.full((len(x),), slot) for slot, _, x in parts])
        index = torch.cat([torch.arange(start, start + len(x)) for _, start, x in parts])
        cos, sin = rotary_table(index, self.setup.config.d_head, self.setup.config.rope_theta)
        hidden = self.decoder.forward(torch.cat([x for _, _, x in parts]), slot, index, cos, sin)
        return list(hidden.split([len(x) for _, _, x in parts]))


def reference_hidden(setup: Setup, x_TD: Tensor) -> Tensor:
    """A whole causal sequence in float64 with unrounded activations and keys."""
    config = setup.config

    def linear(x: Tensor, packed: PackedFp4) -> Tensor:
        return x @ dequantize(packed).double().T

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return x * (x.square().mean(-1, keepdim=True) + config.norm_eps).rsqrt() * weight

    cos, sin = rotary_table(torch.arange(len(x_TD)), config.d_head, config.rope_theta)
    x = x_TD.double()
    for layer in setup.layers:
        normed = norm(x, layer.attention_norm)
        q, k, v = (linear(normed, w).unflatten(-1, (-1, config.d_head)) for w in (layer.q, layer.k, layer.v))
        q, k = apply_rotary(q, cos, sin).double(), apply_rotary(k, cos, sin).double()
        q, k, v = (t.transpose(0, 1)[None] for t in (q, k, v))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + linear(attended[0].transpose(0, 1).flatten(-2), layer.o)
        normed = norm(x, layer.ffn_norm)
        x = x + linear(torch.nn.functional.silu(linear(normed, layer.gate)) * linear(normed, layer.up), layer.down)
    return norm(x, setup.norm)


# The hidden state of two layers: 8-bit activations err by 0.5 % before each of four matrices on a path, which adds up
# to 0.5 % * sqrt(4); bfloat16 keys and values by 2^-9 = 0.2 %, int8 ones by 0.5 %. Measured: 1.0, 0.12 and 1.04 %.
DECODER_ERROR = {
    (Activation.INT8, torch.bfloat16): 1.5e-2,
    (Activation.INT16, torch.bfloat16): 3e-3,
    (Activation.INT8, torch.int8): 1.5e-2,
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("activation", "kv"), list(DECODER_ERROR))
def test_decoder_is_close_to_plain_torch(pool, format, activation, kv):
    setup = random_setup(SMALL, format)
    x_TD = random_rows(40, SMALL.d_model)
    (hidden,) = Runner(setup, pool, activation=activation, kv=kv).run((1, 0, x_TD))
    assert relative_error(hidden, reference_hidden(setup, x_TD)) < DECODER_ERROR[activation, kv]


@pytest.mark.parametrize("d_head", [16, 48, 64, 128])
def test_head_widths(pool, d_head):
    config = DecoderConfig(d_model=64, num_layers=1, num_heads=4, num_kv_heads=1, d_head=d_head, d_ffn=64)
    setup = random_setup(config)
    x_TD = random_rows(20, config.d_model)
    (hidden,) = Runner(setup, pool).run((0, 0, x_TD))
    assert relative_error(hidden, reference_hidden(setup, x_TD)) < DECODER_ERROR[Activation.INT8, torch.bfloat16]


@pytest.mark.parametrize("kv", [torch.bfloat16, torch.int8])
@pytest.mark.parametrize("isa", PATHS)
def test_decoder_paths_agree_bit_for_bit(pool, isa, kv):
    setup = random_setup(SMALL)
    x_TD = random_rows(21, SMALL.d_model)
    (portable,) = Runner(setup, pool, Isa.PORTABLE, kv=kv).run((0, 0, x_TD))
    (hidden,) = Runner(setup, pool, isa, kv=kv).run((0, 0, x_TD))
    assert torch.equal(hidden, portable)


@pytest.mark.parametrize("kv", [torch.bfloat16, torch.int8])
def test_prefill_and_decode_in_any_company_give_the_same_bits(pool, kv):
    """A sequence longer than one attention chunk and one batch: position by position alone; at once; among others."""
    setup = random_setup(SMALL)
    x_TD = random_rows(530, SMALL.d_model)
    alone = Runner(setup, NativePool(1), kv=kv, capacity=600)
    expected = torch.cat([alone.run((2, t, x_TD[t : t + 1]))[0] for t in range(len(x_TD))])

    at_once = Runner(setup, pool, kv=kv, capacity=600)
    assert torch.equal(at_once.run((2, 0, x_TD))[0], expected)
    assert torch.equal(at_once.cache.k[:, 2], alone.cache.k[:, 2])
    assert torch.equal(at_once.cache.v[:, 2], alone.cache.v[:, 2])

    company = Runner(setup, pool, kv=kv, capacity=600)
    others = random_rows(600, SMALL.d_model, seed=5)
    start, parts = 0, []
    for step, size in enumerate((1, 7, 9, 100, 3, 255, 1, 1, 150, 1, 1, 1)):
        before, after = (0, 40 * step, others[: 40 if step % 2 else 3]), (1, step, others[step : step + 1])
        parts.append(company.run(before, (2, start, x_TD[start : start + size]), after)[1])
        start += size
    assert start == len(x_TD)
    assert torch.equal(torch.cat(parts), expected)


def test_a_session_gone_wrong_leaves_the_others_unchanged(pool):
    setup = random_setup(SMALL)
    good, bad = random_rows(5, SMALL.d_model), random_rows(5, SMALL.d_model, seed=7)
    (expected,) = Runner(setup, pool).run((0, 0, good))
    bad[2, 3] = torch.nan
    hidden, spoiled = Runner(setup, pool).run((0, 0, good), (1, 0, bad))
    assert torch.equal(hidden, expected)
    assert spoiled[:2].isfinite().all()
    assert spoiled[2:].isnan().all()


def test_rows_outside_the_cache_or_out_of_order_are_refused(pool):
    runner = Runner(random_setup(SMALL), pool, capacity=8)
    with pytest.raises(ValueError, match="outside the cache"):
        runner.run((0, 8, random_rows(1, SMALL.d_model)))
    with pytest.raises(ValueError, match="outside the cache"):
        runner.run((3, 0, random_rows(1, SMALL.d_model)))
    x, place = random_rows(2, SMALL.d_model), torch.tensor([3, 2])
    with pytest.raises(ValueError, match="increasing"):
        runner.decoder.forward(x, torch.zeros(2), place, *rotary_table(place, SMALL.d_head, SMALL.rope_theta))
    assert not runner.cache.k.any()


def test_flushing_subnormals_on_the_calling_thread_changes_nothing(pool):
    packed = random_packed(64, 64, Fp4Format.NVFP4)
    linear, x = NativeLinear(packed, pool), random_rows(1, 64) * 1e-29
    expected = linear(x)
    torch.set_flush_denormal(True)
    try:
        assert torch.equal(linear(x), expected)
    finally:
        torch.set_flush_denormal(False)
