import numpy as np
import pytest
import torch

from model.encoders.audio_front import LogMel, MelFront, build_front
from model.init import init_weights
from model.tokenizers.mel import mel_bands
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK


@pytest.fixture(scope="module")
def log_mel() -> LogMel:
    built = LogMel(MelFront())
    init_weights(built, 0)
    return built


def tone(hz: float, amplitude: float = 0.5) -> torch.Tensor:
    seconds = torch.arange(SAMPLES_PER_TICK) / SAMPLE_RATE_HZ
    return (amplitude * torch.sin(2 * torch.pi * hz * seconds))[None, None]


def centre_hz(band: int) -> float:
    bins_hz = np.arange(301) * SAMPLE_RATE_HZ / 600
    return bins_hz[mel_bands(80, 600, 8_000.0)[band].argmax()]


def test_frame_has_24_moments_of_80_bands(log_mel):
    assert log_mel(tone(440.0)).shape == (1, 80, 24)


@pytest.mark.parametrize("hz", [300.0, 1_000.0, 3_000.0, 7_000.0])
def test_tone_is_loudest_in_the_band_around_it(log_mel, hz):
    loudest = log_mel(tone(hz))[0, :, -1].argmax().item()
    assert centre_hz(loudest) == pytest.approx(hz, abs=max(40, 0.03 * hz))  # bins are 40 Hz apart


def test_ten_times_the_amplitude_is_two_decades_of_power(log_mel):
    loud, soft = log_mel(tone(1_000.0, 0.5)), log_mel(tone(1_000.0, 0.05))
    assert (loud - soft)[0, :, -1].max().item() == pytest.approx(2 / 4, abs=1e-3)


def test_silence_is_the_floor_and_finite(log_mel):
    silence = log_mel(torch.zeros(1, 1, SAMPLES_PER_TICK))
    assert silence.unique().tolist() == pytest.approx([(LogMel.LOUD - 8 + 4) / 4])


def test_bands_have_equal_area():
    area = mel_bands(80, 16_384, 8_000.0).sum(dim=1) * SAMPLE_RATE_HZ / 16_384
    torch.testing.assert_close(area, torch.ones(80), atol=0.02, rtol=0)


def test_hop_must_divide_the_frame():
    with pytest.raises(ValueError, match="6000 samples"):
        MelFront(hop=160)


def test_front_makes_twelve_latents_of_a_frame():
    front = build_front(MelFront(bands=8), width=4)
    init_weights(front, 0)
    assert front(tone(440.0)).shape == (1, 4, 12)
