import math

import pytest
import torch

from model.init import init_weights
from model.tokenizers.quantizer import (
    GaussianGridQuantizer,
    QuantizerConfig,
    QuantizerKind,
    ResidualVQ,
    build_quantizer,
    codes_to_levels,
    levels_to_codes,
)

RESIDUAL = QuantizerConfig(QuantizerKind.RESIDUAL, num_codebooks=3, codebook_size=16, dim=4)
GRID = QuantizerConfig(QuantizerKind.GRID, num_codebooks=2, codebook_size=256, dim=8)
BOTH = pytest.mark.parametrize("config", [RESIDUAL, GRID], ids=["residual", "grid"])


def build(config: QuantizerConfig) -> ResidualVQ | GaussianGridQuantizer:
    quantizer = build_quantizer(config)
    init_weights(quantizer, 0)
    return quantizer.eval()


def vectors(num: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed))


# --- what both promise ---


@BOTH
def test_codes_are_one_integer_per_codebook_within_range(config):
    codes = build(config).encode(vectors(50, config.dim))
    assert codes.shape == (50, config.num_codebooks)
    assert codes.dtype == torch.int64
    assert 0 <= codes.min() <= codes.max() < config.codebook_size


@BOTH
def test_training_pass_agrees_with_encode_and_decode(config):
    quantizer, z = build(config), vectors(50, config.dim)
    out = quantizer(z)
    assert torch.equal(out.codes_BK, quantizer.encode(z))
    torch.testing.assert_close(out.z_BD, quantizer.decode(out.codes_BK))


@BOTH
def test_gradient_passes_straight_through(config):
    z = vectors(50, config.dim).requires_grad_()
    build(config)(z).z_BD.sum().backward()
    assert torch.all(z.grad > 0)


@BOTH
def test_encoding_leaves_the_quantizer_as_it_was(config):
    quantizer = build(config).train()
    before = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    quantizer.encode(vectors(50, config.dim))
    assert all(torch.equal(before[name], tensor) for name, tensor in quantizer.state_dict().items())


@BOTH
@pytest.mark.parametrize("bad", [-1, 256])
def test_code_of_another_codebook_is_refused_with_its_value(config, bad):
    codes = torch.zeros(2, config.num_codebooks, dtype=torch.int64)
    codes[1, 0] = bad
    with pytest.raises(ValueError, match=f"got {bad}"):
        build(config).decode(codes)


@BOTH
def test_wrong_number_of_codebooks_is_refused(config):
    with pytest.raises(ValueError, match=r"\[2, 7\]"):
        build(config).decode(torch.zeros(2, 7, dtype=torch.int64))


# --- residual ---


def test_each_stage_takes_the_nearest_to_what_is_left():
    quantizer, z = build(RESIDUAL), vectors(20, 4)
    residual = z
    codes = quantizer.encode(z)
    for stage in range(3):
        distances = torch.cdist(residual, quantizer.codebooks_KVD[stage])
        assert torch.equal(codes[:, stage], distances.argmin(-1))
        residual = residual - quantizer.codebooks_KVD[stage, codes[:, stage]]


def test_search_in_pieces_finds_the_same_codes(monkeypatch):
    quantizer, z = build(RESIDUAL), vectors(20, 4)
    whole = quantizer.encode(z)
    monkeypatch.setattr("model.tokenizers.quantizer.SEARCH_ELEMENTS", 48)
    assert torch.equal(quantizer.encode(z), whole)


def test_codebooks_written_after_a_search_are_searched_anew():
    quantizer, z = build(RESIDUAL), vectors(20, 4)
    quantizer.encode(z)
    other = ResidualVQ(RESIDUAL)
    init_weights(other, 1)
    quantizer.load_state_dict(other.state_dict())
    assert torch.equal(quantizer.encode(z), other.encode(z))


def test_one_training_step_is_the_moving_average_of_sums_and_counts():
    quantizer, z = build(RESIDUAL).train(), vectors(20, 4)
    before = quantizer.codebooks_KVD[0].clone()
    codes = quantizer(z).codes_BK[:, 0]
    decay = RESIDUAL.ema_decay
    for code in range(RESIDUAL.codebook_size):
        mine = z[codes == code]
        count = decay * 1.0 + (1 - decay) * len(mine)
        total = decay * before[code] + (1 - decay) * mine.sum(0)
        torch.testing.assert_close(quantizer.usage_KV[0, code], torch.tensor(count))
        torch.testing.assert_close(quantizer.codebooks_KVD[0, code], total / count)


def test_training_brings_codes_to_the_data():
    config = QuantizerConfig(QuantizerKind.RESIDUAL, num_codebooks=2, codebook_size=8, dim=2, ema_decay=0.8)
    quantizer = build(config).train()
    centres = 10 * vectors(8, 2, seed=1)
    for step in range(100):
        quantizer(centres.repeat(8, 1) + 0.01 * vectors(64, 2, seed=step))
    quantizer.eval()
    assert (quantizer(centres).z_BD - centres).abs().max() < 0.1


def test_dead_codes_are_revived_where_the_data_is():
    config = QuantizerConfig(QuantizerKind.RESIDUAL, 1, codebook_size=16, dim=2, ema_decay=0.5, revive_every=5)
    quantizer = build(config).train()
    far = 100.0 + vectors(64, 2)  # nearest to one code only, so that fifteen die
    for _ in range(40):
        codes = quantizer(far).codes_BK
    assert len(codes.unique()) > 8
    assert quantizer.codebooks_KVD.min() > 90


def test_training_twice_from_the_same_seed_gives_the_same_codebooks():
    def train() -> torch.Tensor:
        quantizer = build(RESIDUAL).train()
        for step in range(45):
            quantizer(50 + vectors(30, 4, seed=step))
        return quantizer.codebooks_KVD

    assert torch.equal(train(), train())


def test_evaluation_mode_learns_nothing():
    quantizer = build(RESIDUAL)
    before = quantizer.codebooks_KVD.clone()
    quantizer(vectors(20, 4))
    assert torch.equal(quantizer.codebooks_KVD, before)


def test_commitment_loss_pulls_vectors_to_their_codes():
    z = vectors(20, 4).requires_grad_()
    quantizer = build(RESIDUAL)
    out = quantizer(z)
    out.commitment_loss.backward()
    closer = (z - 0.1 * z.grad).detach()
    assert quantizer(closer).commitment_loss < out.commitment_loss


# --- grid ---


def test_eight_dimensions_of_four_levels_make_the_code_of_the_seed():
    codes = torch.tensor([[0, 1, 4, 65_535]])
    levels = codes_to_levels(codes, 65_536)
    assert levels.shape == (1, 32)
    assert levels[0, 8:16].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert levels[0, 16:24].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert torch.equal(levels_to_codes(levels, 65_536), codes)


def test_normal_data_uses_all_levels_evenly():
    quantizer = build(GRID).train()
    z = 3.0 + 5.0 * vectors(20_000, 8)
    for _ in range(80):
        out = quantizer(z)
    levels = codes_to_levels(out.codes_BK, 256)
    share = levels.flatten().bincount(minlength=4) / levels.numel()
    assert torch.all((share - 0.25).abs() < 0.01)
    assert torch.equal(quantizer.eval().encode(z[:100]), out.codes_BK[:100])  # the running statistics have arrived


def test_decoded_grid_is_the_middle_of_each_level():
    levels = torch.tensor([[0, 1, 2, 3, 0, 0, 0, 0]])
    z = build(GRID).decode(levels_to_codes(levels, 256))
    assert z[0, :4].tolist() == [-0.75, -0.25, 0.25, 0.75]


def test_extreme_values_stay_inside_the_grid():
    codes = build(GRID).encode(torch.tensor([[1e30] * 8, [-1e30] * 8]))
    assert codes.tolist() == [[255, 255], [0, 0]]


# --- configuration ---


@pytest.mark.parametrize("size", [1, 100, 8])
def test_grid_size_must_be_a_power_of_four(size):
    with pytest.raises(ValueError, match=str(size)):
        QuantizerConfig(QuantizerKind.GRID, 1, codebook_size=size, dim=int(math.log2(size)))


def test_grid_dimensions_must_match_the_codes():
    with pytest.raises(ValueError, match="32 dimensions, got 16"):
        QuantizerConfig(QuantizerKind.GRID, 4, codebook_size=65_536, dim=16)


def test_sizes_must_be_positive():
    with pytest.raises(ValueError, match="dim=0"):
        QuantizerConfig(QuantizerKind.RESIDUAL, 4, codebook_size=16, dim=0)
