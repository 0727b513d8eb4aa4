from dataclasses import replace

import pytest

from model.config import DecoderConfig
from model.network import Network
from model.presets import PRESETS, omniweave_80b, tiny
from model.training.memory import (
    FLOAT32,
    Plan,
    Question,
    activations_of,
    flops_per_token,
    layer_activations,
    memory_of,
    sizes_of,
    table,
    tokens_per_second,
)

SMALL = DecoderConfig(d_model=8, num_layers=3, num_heads=2, num_kv_heads=2, d_head=4, d_ffn=16)


def test_weights_counted_on_the_meta_device_are_those_of_the_model() -> None:
    config = replace(tiny(), audio_codec=None, image_vq=None)
    network = Network(config)
    sizes = sizes_of(tiny())
    assert sizes.total == sum(parameter.numel() for parameter in network.parameters())
    layer = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64  # q and o; k and v; feed-forward; norms
    assert sizes.layers == 2 * layer


def test_the_large_preset_has_eighty_billion_weights() -> None:
    sizes = sizes_of(omniweave_80b())
    assert sizes.layers == 96 * (4 * 8_192 * 8_192 + 3 * 8_192 * 22_016 + 2 * 8_192)
    assert sizes.total == pytest.approx(80e9, rel=0.01)


def test_flops_of_a_token_by_hand() -> None:
    config = replace(tiny(), decoder=SMALL)
    matrices = 3 * (4 * 8 * 8 + 3 * 8 * 16) + (8 + 8 + 8 + 1) * 8 + 259 * 8
    attention = 3 * 2 * 8 * 50  # scores and values over 50 positions on average
    assert flops_per_token(config, tokens=100) == 6 * (matrices + attention)


def test_one_layer_keeps_what_a_hand_count_says() -> None:
    rows, tokens = 2, 2_048  # long enough for the fused attention kernel
    positions = rows * tokens
    kept = layer_activations(SMALL, Plan(1, 1, rows, tokens))
    width, ffn, heads, head = 8, 16, 2, 4
    norms = 2 * (width + width + 1) * 4  # input, its root mean square and the quotient, in float32
    linear_inputs = (width + heads * head + width + ffn) * 2  # of q, k and v; of o; of gate and up; of down
    attention = 3 * heads * head * 2 + heads * 4  # q, k and v; the logarithm of each softmax's sum
    gates = 3 * ffn * 2  # gate, its silu, and up
    # Copies of attention's result between two orders of its dimensions come on top: a seventh here, less in wider ones.
    assert kept == pytest.approx(positions * (norms + linear_inputs + attention + gates), rel=0.15)


def test_activations_grow_with_positions_and_shrink_with_recomputing() -> None:
    one, two = (layer_activations(SMALL, Plan(1, 1, rows, 2_048)) for rows in (1, 2))
    assert two == pytest.approx(2 * one, rel=0.01)
    plan = Plan(1, 1, 1, 2_048, recompute=False)
    assert activations_of(SMALL, plan) == 3 * one
    assert activations_of(SMALL, replace(plan, recompute=True)) == one + 3 * 2_048 * 8 * FLOAT32


def test_sharding_divides_weights_and_moments() -> None:
    config = tiny()
    sizes = sizes_of(config)
    alone = memory_of(config, Plan(1, 1, tokens=16))
    assert alone.weights == alone.gradients == sizes.total * 4
    assert alone.optimizer == sizes.total * 8
    assert alone.gathered == 0
    four = memory_of(config, Plan(fsdp=2, tensor=2, tokens=16, averages=True))
    assert four.weights == sizes.layers * 4 / 4 + sizes.rest * 4 / 2
    assert four.optimizer == 3 * four.weights
    assert four.gathered > 2 * sizes.rest * 4


def test_speed_is_the_useful_share_of_all_gpus() -> None:
    plan = Plan(fsdp=4, tensor=2, tokens=100)
    work = flops_per_token(tiny(), 100)
    assert tokens_per_second(tiny(), plan, peak_tflops=10.0, utilisation=0.5) == pytest.approx(8 * 5e12 / work)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_has_a_table(preset: str) -> None:
    lines = table(Question(preset, gpus=(8,), tensor=(1,), tokens=64)).splitlines()
    assert lines[-1].startswith("| 8 | 8 x 1 |")
    assert lines[-1].count("|") == lines[-2].count("|")


def test_unknown_preset_is_named() -> None:
    with pytest.raises(ValueError, match="no preset 'huge'; there are tiny"):
        table(Question("huge"))


def test_a_million_positions_of_a_huge_model_are_only_calculated() -> None:
    huge = DecoderConfig(d_model=8_192, num_layers=96, num_heads=64, num_kv_heads=64, d_head=128, d_ffn=22_016)
    assert activations_of(huge, Plan(1, 1, 64, 16_384, recompute=False)) > 1e13  # bytes
