import math

import numpy as np
import pytest
import torch

from model.init import init_weights
from model.tokenizers.mel import CENTRE, FLOOR_POWER, SPREAD, MelConfig, ScaledMel
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK

FLOOR = (math.log(FLOOR_POWER) - CENTRE) / SPREAD


@pytest.fixture(scope="module")
def mel() -> ScaledMel:
    built = ScaledMel(MelConfig())
    init_weights(built, 0)
    return built


def sine(pitch_hz: float, level: float = 0.5) -> torch.Tensor:
    seconds = torch.arange(2 * SAMPLES_PER_TICK, dtype=torch.float64) / SAMPLE_RATE_HZ
    return (level * torch.sin(2 * math.pi * pitch_hz * seconds)).float()[None, None]


def test_frame_has_twenty_four_moments_of_eighty_bands(mel):
    assert mel(torch.zeros(2, 1, SAMPLES_PER_TICK)).shape == (2, 24, 80)


def test_higher_tones_are_in_higher_bands(mel):
    loudest = [int(mel(sine(pitch_hz))[0, -1].argmax()) for pitch_hz in (200.0, 800.0, 3_000.0, 9_000.0)]
    assert loudest == sorted(set(loudest))


def test_ten_times_the_level_is_twice_the_logarithm_of_ten_more(mel):
    difference = mel(sine(1_000.0, 0.5))[0, -1].max() - mel(sine(1_000.0, 0.05))[0, -1].max()
    assert float(difference) == pytest.approx(math.log(100.0) / SPREAD, rel=1e-3)


def test_silence_lies_on_the_floor(mel):
    assert torch.allclose(mel(torch.zeros(1, 1, SAMPLES_PER_TICK)), torch.tensor(FLOOR))


def test_clipped_sound_is_finite_and_above_the_floor(mel):
    bands = mel(sine(300.0, 40.0).clamp(-1.0, 1.0))
    assert torch.isfinite(bands).all()
    assert float(bands[0, -1].max()) > FLOOR + 1.0


def test_pieces_give_the_moments_of_the_whole(mel):
    pcm = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 2 * SAMPLES_PER_TICK)).astype(np.float32))
    first, state = mel.step(pcm[..., :SAMPLES_PER_TICK], mel.initial_state(1))
    second, _ = mel.step(pcm[..., SAMPLES_PER_TICK:], state)
    torch.testing.assert_close(torch.cat((first, second), dim=1), mel(pcm), atol=1e-5, rtol=0)


def test_autocast_does_not_touch_the_spectrum(mel):
    exact = mel(sine(1_000.0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mel(sine(1_000.0)), exact)


def test_hop_must_divide_the_frame():
    with pytest.raises(ValueError, match="256"):
        MelConfig(hop=256)
