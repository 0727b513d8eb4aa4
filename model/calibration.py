"""Quantize a decoder layer by layer, each with the inputs that the layers before it, already quantized, give it.

An exact decoder and embedded calibration text → `PackedFp4` by name. The arithmetic is in `model/quantize.py`.
Deterministic: the same weights and text give the same codes on one machine.

Shape legend as in decoder.py.
"""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from model.decoder import Decoder, Layer
from model.fp4 import Fp4Format, PackedFp4, dequantize
from model.quantize import absorb_input_error, compensate, descend, input_moment

DESCENT_SWEEPS = 2  # a third changes little


def quantize_linear(exact_NI: Tensor, actual_NI: Tensor, weight: Tensor, format: Fp4Format) -> PackedFp4:
    """Calibrated FP4 for one weight, given its inputs in the exact model and those it will actually see."""
    hessian = input_moment(actual_NI)
    cross = exact_NI.flatten(0, -2).T @ actual_NI.flatten(0, -2)
    target = absorb_input_error(weight, hessian, cross)
    return descend(target, compensate(target, hessian, format), hessian, DESCENT_SWEEPS)


@torch.no_grad()
def quantize_decoder(
    exact: Decoder,
    exact_BTD: Tensor,
    actual_BTD: Tensor,
    format: Fp4Format,
    report: Callable[[str], None],
    known: Mapping[str, PackedFp4] | None = None,
) -> dict[str, PackedFp4]:
    """All linear layers of `exact` in FP4, by their names in it.

    Embedded text enters twice: from the exact table and from the table as it will be stored. `report` gets a line
    per layer. What is `known` by its name stays as it is.
    """
    packed: dict[str, PackedFp4] = dict(known or {})
    position_BT = torch.arange(exact_BTD.shape[1]).expand(exact_BTD.shape[:2])
    cos, sin = exact.rotary(position_BT)
    for index, layer in enumerate(exact.layers):
        assert isinstance(layer, Layer)
        rounded = copy.deepcopy(layer)

        def put(paths: Sequence[str], exact_inputs: Tensor, actual_inputs: Tensor) -> None:
            for path in paths:
                linear = rounded.get_submodule(path)  # noqa: B023 (called before the loop goes on)
                assert isinstance(linear, nn.Linear)
                name = f"layers.{index}.{path}.weight"  # noqa: B023
                if name not in packed:
                    packed[name] = quantize_linear(exact_inputs, actual_inputs, linear.weight, format)
                linear.weight.copy_(dequantize(packed[name]))

        x, y = layer.attention_norm(exact_BTD), rounded.attention_norm(actual_BTD)
        put(["attention.q_proj", "attention.k_proj", "attention.v_proj"], x, y)
        x = input_of(layer.attention.o_proj, layer.attention, x, cos, sin, None)
        y = input_of(rounded.attention.o_proj, rounded.attention, y, cos, sin, None)
        put(["attention.o_proj"], x, y)
        exact_BTD = exact_BTD + layer.attention.o_proj(x)
        actual_BTD = actual_BTD + rounded.attention.o_proj(y)
        x, y = layer.ffn_norm(exact_BTD), rounded.ffn_norm(actual_BTD)
        put(["ffn.gate_proj", "ffn.up_proj"], x, y)
        x, y = input_of(layer.ffn.down_proj, layer.ffn, x), input_of(rounded.ffn.down_proj, rounded.ffn, y)
        put(["ffn.down_proj"], x, y)
        exact_BTD = exact_BTD + layer.ffn.down_proj(x)
        actual_BTD = actual_BTD + rounded.ffn.down_proj(y)
        error = float((actual_BTD - exact_BTD).norm() / exact_BTD.norm())
        report(f"layer {index}: hidden states off by {error:.4f} of their norm")
    return packed


def input_of(linear: nn.Module, owner: nn.Module, *arguments: Tensor | None) -> Tensor:
    """What `linear` receives when `owner` runs."""
    received: list[Tensor] = []
    hook = linear.register_forward_pre_hook(lambda _module, inputs: received.append(inputs[0]))
    try:
        owner(*arguments)
    finally:
        hook.remove()
    return received[0]
