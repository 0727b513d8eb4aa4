import pytest
import torch
from torch import nn

from model.init import draw, generator_for, init_weights
from model.tokenizers.audio_codec import AudioCodec, tiny_codec
from model.tokenizers.quantizer import QuantizerKind

GOLDEN = [-1.21627676486969, 0.1301811933517456, 0.759297251701355, -0.016159268096089363]


class Pair(nn.Module):
    def __init__(self, order: tuple[str, str]) -> None:
        super().__init__()
        for name in order:
            self.add_module(name, nn.Linear(4, 8) if name == "first" else nn.Conv1d(2, 4, 3))


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    a_state, b_state = a.state_dict(), b.state_dict()
    return a_state.keys() == b_state.keys() and all(torch.equal(a_state[name], b_state[name]) for name in a_state)


@pytest.mark.parametrize("kind", list(QuantizerKind))
def test_same_seed_gives_the_same_codec_bit_for_bit(kind):
    one, other = AudioCodec(tiny_codec(kind)), AudioCodec(tiny_codec(kind))
    init_weights(one, 7)
    torch.manual_seed(123)
    init_weights(other, 7)
    assert same_weights(one, other)


def test_another_seed_gives_other_weights():
    one, other = AudioCodec(tiny_codec()), AudioCodec(tiny_codec())
    init_weights(one, 7)
    init_weights(other, 8)
    assert not torch.equal(one.encoder.pool.weight, other.encoder.pool.weight)
    assert not torch.equal(one.quantizer.codebooks_KVD, other.quantizer.codebooks_KVD)


def test_weights_do_not_depend_on_construction_order():
    one, other = Pair(("first", "second")), Pair(("second", "first"))
    init_weights(one, 3)
    init_weights(other, 3)
    assert same_weights(one, other)


def test_global_generator_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    codec = AudioCodec(tiny_codec())
    torch.set_rng_state(before)
    init_weights(codec, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_weight_is_left_as_constructed():
    codec = AudioCodec(tiny_codec())
    with torch.no_grad():
        for tensor in codec.state_dict().values():
            tensor.fill_(float("nan") if tensor.is_floating_point() else -1)
    init_weights(codec, 1)
    assert all(torch.isfinite(tensor).all() for tensor in codec.state_dict().values())
    assert int(codec.quantizer.num_steps) == 0


def test_module_built_on_the_meta_device_gets_the_same_weights():
    real = AudioCodec(tiny_codec())
    with torch.device("meta"):
        late = AudioCodec(tiny_codec())
    late.to_empty(device="cpu")
    init_weights(real, 2)
    init_weights(late, 2)
    assert same_weights(real, late)


def test_drawn_values_are_these_on_every_machine():
    values = torch.empty(4)
    draw(values, 1.0, generator_for(0, "part"))
    assert values.tolist() == GOLDEN


def test_drawn_values_have_the_asked_spread():
    values = torch.empty(100_000)
    draw(values, 0.5, generator_for(0, "spread"))
    assert abs(float(values.mean())) < 0.01
    assert abs(float(values.std()) - 0.5) < 0.01


def test_unknown_parameters_are_refused_by_name():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

    with pytest.raises(TypeError, match=r"Odd at '1'"):
        init_weights(nn.Sequential(nn.Linear(1, 1), Odd()), 0)
