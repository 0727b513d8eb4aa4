import pytest
import torch
from safetensors.torch import save_file

from model.init import init_weights
from model.tokenizers.mel import CENTRE, SPREAD, MelConfig, ScaledMel, mel_bands
from model.training.recogniser import Recogniser, band_change, relative_error, sinusoids
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK

WIDTH, LAYERS = 64, 2  # of `whisper_file`


@pytest.fixture(scope="module")
def recogniser(whisper_file) -> Recogniser:
    return Recogniser(whisper_file, MelConfig())


def bands_of(pitch_hz: float) -> torch.Tensor:
    mel = ScaledMel(MelConfig())
    init_weights(mel, 0)
    seconds = torch.arange(2 * SAMPLES_PER_TICK) / SAMPLE_RATE_HZ
    return mel((0.5 * torch.sin(2 * torch.pi * pitch_hz * seconds))[None, None])


def test_every_layer_gives_a_vector_for_two_moments(recogniser):
    heard = recogniser(bands_of(300.0))
    assert [layer.shape for layer in heard] == [(1, 24, WIDTH)] * LAYERS


def test_same_sound_is_at_no_distance_and_another_is(recogniser):
    low, high = bands_of(300.0), bands_of(3_000.0)
    assert float(recogniser.distance(low, low)) == 0.0
    near, far = recogniser.distance(low + 0.02, low), recogniser.distance(high, low)
    assert 0.0 < float(near) < float(far)


def test_gradient_reaches_the_made_sound_only(recogniser):
    made = bands_of(300.0).requires_grad_()
    recogniser.distance(made, bands_of(310.0)).backward()
    assert made.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in recogniser.parameters())


@pytest.mark.parametrize("pitch_hz", [250.0, 1_000.0, 5_000.0])
def test_tone_stays_in_its_place_between_the_scales(pitch_hz):
    power = (bands_of(pitch_hz)[0, -1] * SPREAD + CENTRE).exp() @ band_change(MelConfig())
    expected = mel_bands(80, 600, 8_000.0)[:, round(pitch_hz * 600 / SAMPLE_RATE_HZ)]
    assert abs(int(power.argmax()) - int(expected.argmax())) <= 2


def test_noise_is_as_loud_as_the_recogniser_learned_it():
    """White noise through our window, and through Whisper's of 400 samples at 16 kHz."""
    random = torch.Generator().manual_seed(0)
    mel = ScaledMel(MelConfig())
    init_weights(mel, 0)
    noise = 0.1 * torch.randn(1, 1, 40 * SAMPLES_PER_TICK, generator=random)
    ours = ((mel(noise)[0] * SPREAD + CENTRE).exp() @ band_change(MelConfig())).mean(dim=0)
    windows = 0.1 * torch.randn(2_000, 400, generator=random) * torch.hann_window(400)
    power = torch.fft.rfft(windows).abs().square().mean(dim=0)  # bins 40 Hz apart, as of 600 samples at 24 kHz
    theirs = mel_bands(80, 600, 8_000.0)[:, : len(power)] @ power * (16_000 / SAMPLE_RATE_HZ)  # as much, spread wider
    middle = slice(10, 70)
    assert abs(float(10 * (ours[middle].sum() / theirs[middle].sum()).log10())) < 0.5


def test_positions_turn_slower_with_each_channel():
    positions = sinusoids(4, 8)
    assert positions.shape == (4, 8)
    assert torch.equal(positions[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    torch.testing.assert_close(positions[1, :4], torch.tensor([1.0, 10 ** (-4 / 3), 10 ** (-8 / 3), 1e-4]).sin())


def test_relative_error_of_nothing_is_one():
    true = torch.randn(4, 3)
    assert float(relative_error(torch.zeros(4, 3), true)) == pytest.approx(1.0)


def test_other_file_is_refused(tmp_path):
    save_file({"weight": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="import_whisper_encoder"):
        Recogniser(tmp_path / "other.safetensors", MelConfig())
