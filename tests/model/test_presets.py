"""The presets' parameter counts against the arithmetic they come from, on the meta device: nothing is allocated."""

import json

import pytest
import torch

from model.config import ModelConfig
from model.network import Network
from model.presets import PRESETS, gpt4o_13b, gpt4o_230b, nano, omniweave_80b


def count(module: torch.nn.Module | None) -> int:
    assert module is not None
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(config: ModelConfig) -> Network:
    with torch.device("meta"):
        return Network(config)


def test_omniweave_counts_as_its_design_does():
    network = on_meta(omniweave_80b())
    layer = 4 * 8192**2 + 3 * 8192 * 22_016
    assert count(network.decoder) == 96 * (layer + 2 * 8192) + 8192
    text, image = 128_000 * 8192, 16_384 * 8192
    encoders = count(network.vision) + count(network.audio_encoder)
    assert encoders == pytest.approx(0.67e9, rel=0.03)
    assert count(network.decoder) + text + image + encoders == pytest.approx(79.6e9, rel=0.002)
    assert count(network.image_vq) == pytest.approx(0.3e9, abs=0.1e9)


def test_a_swiglu_of_four_times_the_width_would_not_be_80_billion():
    assert pytest.approx(103e9, rel=0.01) == 96 * (4 * 8192**2 + 3 * 8192 * 32_768)


def test_the_example_sizes_of_the_full_duplex_design_make_13_billion_and_its_large_version_230():
    assert count(on_meta(gpt4o_13b()).decoder) == pytest.approx(13e9, rel=0.01)
    assert count(on_meta(gpt4o_230b())) == pytest.approx(230e9, rel=0.01)


def test_nano_has_the_decoder_of_its_imported_weights():
    network = on_meta(nano())
    assert count(network.decoder) + 49_152 * 576 == 134_515_008  # SmolLM2-135M


@pytest.mark.parametrize("name", PRESETS)
def test_a_config_survives_json(name: str):
    config = PRESETS[name]()
    assert config.name == name
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("decoder"), "model: .*decoder"),
        (lambda data: data.update(colour="red"), r"unknown keys \['colour'\]"),
        (lambda data: data["decoder"].update(num_layers="two"), "model.decoder.num_layers: expected int, got 'two'"),
        (lambda data: data["audio"].update(factors=[3, 3]), "multiply to 9"),
    ],
)
def test_a_broken_config_says_where(change, message: str):
    data = json.loads(json.dumps(PRESETS["tiny"]().to_json()))
    change(data)
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_json(data)
