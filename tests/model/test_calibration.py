"""Calibrating a decoder layer by layer beats rounding its weights on their own."""

import copy

import torch
from torch import nn

from model.calibration import quantize_decoder
from model.config import DecoderConfig
from model.decoder import Decoder
from model.fp4 import Fp4Format, PackedFp4, dequantize, quantize
from model.init import init_weights

CONFIG = DecoderConfig(d_model=64, num_layers=2, num_heads=4, num_kv_heads=2, d_head=16, d_ffn=96)


def toy_decoder() -> Decoder:
    decoder = Decoder(CONFIG)
    init_weights(decoder, seed=0)
    return decoder


def embedded(seed: int) -> torch.Tensor:
    """Text of a small vocabulary, so that inputs are correlated as they are in language: [B, T, D]."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(24, CONFIG.d_model, generator=torch.Generator().manual_seed(9))
    return table[torch.randint(24, (8, 40), generator=generator)]


def with_weights(decoder: Decoder, packed: dict[str, PackedFp4]) -> Decoder:
    changed = copy.deepcopy(decoder)
    changed.load_state_dict({name: dequantize(code) for name, code in packed.items()}, strict=False)
    return changed


def linear_names(decoder: Decoder) -> list[str]:
    return [f"{path}.weight" for path, module in decoder.named_modules() if isinstance(module, nn.Linear)]


@torch.no_grad()
def error(exact: Decoder, actual: Decoder, x_BTD: torch.Tensor) -> float:
    position_BT = torch.arange(x_BTD.shape[1]).expand(x_BTD.shape[:2])
    wanted = exact(x_BTD, position_BT)
    return float((actual(x_BTD, position_BT) - wanted).norm() / wanted.norm())


def test_calibrated_decoder_is_closer_on_text_it_was_not_calibrated_on() -> None:
    exact = toy_decoder()
    lines: list[str] = []
    calibrated = quantize_decoder(exact, embedded(1), embedded(1), Fp4Format.NVFP4, lines.append)
    plain = {name: quantize(exact.get_parameter(name), Fp4Format.NVFP4) for name in linear_names(exact)}
    unseen = embedded(2)
    assert error(exact, with_weights(exact, calibrated), unseen) < 0.6 * error(
        exact, with_weights(exact, plain), unseen
    )
    assert len(lines) == CONFIG.num_layers


def test_every_linear_layer_is_quantized_and_the_original_is_left_alone() -> None:
    exact = toy_decoder()
    before = copy.deepcopy(exact.state_dict())
    packed = quantize_decoder(exact, embedded(1), embedded(1), Fp4Format.MXFP4, lambda _line: None)
    assert sorted(packed) == sorted(linear_names(exact))
    assert all(packed[name].shape == tuple(before[name].shape) for name in packed)
    assert all(torch.equal(value, before[name]) for name, value in exact.state_dict().items())


def test_layers_that_are_known_stay_as_they_are() -> None:
    exact = toy_decoder()
    first = "layers.0.attention.q_proj.weight"
    known = {first: quantize(exact.get_parameter(first), Fp4Format.NVFP4)}
    packed = quantize_decoder(exact, embedded(1), embedded(1), Fp4Format.NVFP4, lambda _line: None, known)
    assert packed[first] is known[first]
    assert set(packed) == set(linear_names(exact))
