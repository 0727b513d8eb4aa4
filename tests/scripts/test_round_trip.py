import json
import wave
from pathlib import Path

import numpy as np
import pytest

from model.checkpoint import Description, save_checkpoint
from model.network import Network
from model.presets import tiny
from scripts.round_trip import main
from streams.video import decode_image, encode_png
from tests.model.tiny_weights import save_tiny_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    """The `tiny` preset whole, with weights drawn at random."""
    directory = tmp_path_factory.mktemp("weights")
    network = Network(tiny())
    network.init(seed=7)
    description = Description(json.loads(json.dumps(tiny().to_json())), 7, (), "for tests")
    save_checkpoint(directory, description, network.state_dict())
    return str(directory)


def write_sound(path: Path, rate_hz: int, channels: int, seconds: float) -> None:
    samples = np.random.default_rng(0).integers(-9_000, 9_000, (int(rate_hz * seconds), channels), np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (24_000, 1), (48_000, 2)])
def test_sound_of_any_kind_comes_back_as_long_as_it_was(weights, tmp_path, capsys, rate_hz, channels):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    write_sound(source, rate_hz, channels, 0.6)
    assert main([str(source), str(target), "--weights", weights]) == 0
    assert "codes" in capsys.readouterr().out
    with wave.open(str(target), "rb") as file:
        assert (file.getframerate(), file.getnchannels()) == (24_000, 1)
        assert file.getnframes() == pytest.approx(0.6 * 24_000, abs=40)


def test_picture_comes_back_as_the_model_draws_it(weights, tmp_path, capsys):
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    source.write_bytes(encode_png(np.full((20, 50, 3), 90, np.uint8)))
    assert main([str(source), str(target), "--weights", weights]) == 0
    side = tiny().image_vq.side_px
    assert decode_image(target.read_bytes()).shape == (side, side, 3)
    assert f"ids of {tiny().image_vq.codebook_size}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["missing.wav", "missing.png", "text.wav", "text.png"])
def test_what_cannot_be_read_is_said_in_a_line(weights, tmp_path, capsys, name):
    if name.startswith("text"):
        (tmp_path / name).write_text("hello")
    assert main([str(tmp_path / name), str(tmp_path / "out"), "--weights", weights]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_parts_that_were_never_trained_are_not_used(tmp_path, capsys):
    weights = save_tiny_weights(tmp_path)
    write_sound(tmp_path / "in.wav", 24_000, 1, 0.3)
    assert main([str(tmp_path / "in.wav"), str(tmp_path / "out.wav"), "--weights", str(weights)]) == 1
    assert "never trained" in capsys.readouterr().err
