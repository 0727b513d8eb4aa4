import math

import pytest
import torch

from model.init import init_weights
from model.tokenizers.mel import MelConfig
from model.tokenizers.vocoder import LATE_HOPS, WINDOW_HOPS, SpectrumHead, Vocoder, VocoderConfig

MEL = MelConfig(bands=8)


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    built = Vocoder(VocoderConfig(channels=16, num_blocks=2, d_ffn=32), MEL)
    init_weights(built, 0)
    return built.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def head() -> SpectrumHead:
    built = SpectrumHead(channels=6, hop=10)
    init_weights(built, 0)
    return built.requires_grad_(False)


def moments(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, count, width, generator=torch.Generator().manual_seed(seed))


def added_one_by_one(head: SpectrumHead, x_BNC: torch.Tensor) -> torch.Tensor:
    """The slow twin: every moment's piece added at its place."""
    magnitude, phase = head.projection(x_BNC).chunk(2, dim=-1)
    pieces = torch.fft.irfft(torch.polar(magnitude.exp(), phase), n=head.window) * head.window_W
    total = torch.zeros(x_BNC.shape[0], (x_BNC.shape[1] + WINDOW_HOPS) * head.hop)
    for moment in range(x_BNC.shape[1]):
        start = moment * head.hop
        total[:, start : start + head.window] += pieces[:, moment]
    return total[:, None, : x_BNC.shape[1] * head.hop]


def test_overlapping_is_adding_every_piece_at_its_place(head):
    x = moments(9, 6)
    torch.testing.assert_close(head(x), added_one_by_one(head, x), atol=1e-6, rtol=1e-5)


def test_windows_add_up_to_one(head):
    parts = head.window_W.unflatten(0, (WINDOW_HOPS, head.hop)).sum(0)
    torch.testing.assert_close(parts, torch.ones(head.hop))


def test_pieces_give_the_samples_of_the_whole(vocoder):
    mel = moments(30, 8)
    state, pieces = vocoder.initial_state(2), []
    for piece in mel.split((7, 1, 22), dim=1):
        pcm, state = vocoder.step(piece, state)
        pieces.append(pcm)
    torch.testing.assert_close(torch.cat(pieces, dim=-1), vocoder(mel), atol=1e-5, rtol=1e-4)


def test_every_moment_is_a_hop_of_samples(vocoder):
    assert vocoder(moments(24, 8)).shape == (2, 1, 24 * MEL.hop)


def test_later_bands_change_nothing_that_was_given_out(vocoder):
    mel, changed = moments(20, 8), moments(20, 8)
    changed[:, 12:] += 1.0
    before, after = vocoder(mel), vocoder(changed)
    assert torch.equal(before[..., : 12 * MEL.hop], after[..., : 12 * MEL.hop])
    assert not torch.allclose(before[..., 12 * MEL.hop :], after[..., 12 * MEL.hop :])


def test_bands_sound_until_two_hops_after_their_moment(head):
    x = torch.zeros(1, 8, 6)
    loud = x.clone()
    loud[:, 3] = 3.0
    changed = (head(loud) - head(x)).abs()[0, 0]
    places = torch.nonzero(changed > 1e-6)[:, 0]
    assert places.min() >= 3 * head.hop
    assert places.max() < (3 + 1 + LATE_HOPS) * head.hop


def test_wildest_bands_give_finite_samples(vocoder):
    assert torch.isfinite(vocoder(1e4 * moments(6, 8))).all()


def test_sizes_must_be_positive():
    with pytest.raises(ValueError, match="channels=0"):
        VocoderConfig(channels=0, num_blocks=1, d_ffn=8)


def test_delay_of_the_default_bands_is_under_21_ms():
    assert LATE_HOPS * MelConfig().hop / 24_000 < 0.021
    assert math.isclose(LATE_HOPS * MelConfig().hop, 500)
