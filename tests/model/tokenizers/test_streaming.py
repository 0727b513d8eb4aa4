import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model.init import init_weights
from model.tokenizers.streaming import (
    CausalConv1d,
    CausalConvTranspose1d,
    Chain,
    ResidualUnit,
    Streaming,
    StreamLSTM,
    fold_weight_norm,
    reset_row,
    stack_rows,
    step_rows,
    take_row,
)

CHANNELS = 4


def layers() -> dict[str, Streaming]:
    return {
        "conv": CausalConv1d(CHANNELS, 6, kernel=7),
        "pointwise conv": CausalConv1d(CHANNELS, 6, kernel=1),
        "strided conv": CausalConv1d(CHANNELS, 6, kernel=6, stride=3),
        "transposed conv": CausalConvTranspose1d(CHANNELS, 6, stride=3),
        "lstm": StreamLSTM(CHANNELS, num_layers=2),
        "residual unit": ResidualUnit(CHANNELS, kernel=3),
        "chain": Chain(
            CausalConv1d(CHANNELS, 8, 6, 3), nn.ELU(), StreamLSTM(8, 2), nn.ELU(), CausalConvTranspose1d(8, 4, 3)
        ),
    }


@pytest.fixture(params=list(layers()))
def layer(request) -> Streaming:
    built = layers()[request.param]
    init_weights(built, 0)
    for name, parameter in built.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, 0.5, 1.0)  # a bias in the wrong place must show
    return built.eval()


def signal(batch: int, num_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, CHANNELS, num_samples, generator=torch.Generator().manual_seed(seed))


def run(layer: Streaming, x: torch.Tensor, pieces: list[int]) -> torch.Tensor:
    state = layer.initial_state(x.shape[0])
    outputs = []
    for piece in x.split(pieces, dim=-1):
        y, state = layer.step(piece, state)
        outputs.append(y)
    return torch.cat(outputs, dim=-1)


@torch.no_grad()
def test_pieces_give_what_the_whole_gives(layer):
    x = signal(2, 24)
    for pieces in ([12, 12], [3] * 8, [3, 18, 3]):
        torch.testing.assert_close(run(layer, x, pieces), layer(x))


@torch.no_grad()
def test_outputs_never_look_ahead(layer):
    x = signal(1, 24)
    changed = x.clone()
    changed[..., 12:] += 1.0
    before, after = layer(x), layer(changed)
    half = before.shape[-1] // 2
    assert torch.equal(before[..., :half], after[..., :half])
    assert not torch.equal(before[..., half:], after[..., half:])


@torch.no_grad()
def test_step_leaves_the_state_it_was_given(layer):
    _, state = layer.step(signal(2, 12), layer.initial_state(2))
    kept = stack_rows([take_row(state, row) for row in range(2)])
    first, _ = layer.step(signal(2, 12, seed=1), state)
    again, _ = layer.step(signal(2, 12, seed=1), kept)
    assert torch.equal(first, again)


@torch.no_grad()
def test_reset_row_starts_its_stream_again_and_leaves_the_others(layer):
    _, state = layer.step(signal(3, 12), layer.initial_state(3))
    x = signal(3, 12, seed=1)
    continued, _ = step_rows(layer.step, x, state)
    restarted, _ = step_rows(layer.step, x, reset_row(state, 1))
    assert torch.equal(restarted[[0, 2]], continued[[0, 2]])
    assert torch.equal(restarted[1:2], layer(x[1:2]))


@torch.no_grad()
@given(order=st.permutations(range(4)))
def test_row_gives_the_same_bits_in_any_company(order):
    layer = layers()["chain"]
    init_weights(layer, 0)
    x = signal(4, 12)
    alone = torch.cat([step_rows(layer.step, x[row : row + 1], layer.initial_state(1))[0] for row in range(4)])
    together, _ = step_rows(layer.step, x[list(order)], layer.initial_state(4))
    assert torch.equal(together, alone[list(order)])


@torch.no_grad()
def test_folding_weight_norm_changes_no_bit(layer):
    x = signal(2, 24)
    before = layer(x)
    fold_weight_norm(layer)
    assert not any("parametrizations" in name for name in layer.state_dict())
    assert torch.equal(layer(x), before)


def test_weight_norm_trains_length_and_direction_apart():
    names = set(CausalConv1d(2, 3, 5).state_dict())
    assert {"conv.parametrizations.weight.original0", "conv.parametrizations.weight.original1"} < names


def test_samples_that_do_not_fill_a_stride_are_refused():
    conv = CausalConv1d(CHANNELS, 4, kernel=6, stride=3)
    with pytest.raises(ValueError, match="10 samples"):
        conv(signal(1, 10))


def test_kernel_that_skips_samples_is_refused():
    with pytest.raises(ValueError, match="kernel of 2 with stride 3"):
        CausalConv1d(1, 1, kernel=2, stride=3)
