from pathlib import Path

import numpy as np
import pytest

from model.training.data.held_out import held_out_reason
from model.training.data.missing import MissingPackage
from model.training.evaluation.voices import DEFAULT_VOICES, KeptCast, Speaker, speakers
from model.training.simulation.cast import Cast


def test_default_voices_are_those_that_no_training_may_use():
    assert "flite/awb" in DEFAULT_VOICES
    assert "kokoro/af_nova" in DEFAULT_VOICES
    assert all(held_out_reason(*voice.split("/")) for voice in DEFAULT_VOICES)


def test_a_kept_line_is_the_line_that_was_spoken(tmp_path: Path, monkeypatch):
    spoken = KeptCast(tmp_path, tmp_path / "kept").say("One two.", "tones/low", 3)
    monkeypatch.setattr(Cast, "say", lambda *_: pytest.fail("it was kept"))
    kept = KeptCast(tmp_path, tmp_path / "kept").say("One two.", "tones/low", 3)
    assert np.array_equal(spoken.pcm, kept.pcm)
    assert spoken.words == kept.words


def test_other_lines_voices_and_seeds_are_spoken_anew(tmp_path: Path):
    cast = KeptCast(tmp_path, tmp_path / "kept")
    said = [("One.", "tones/low", 0), ("Two.", "tones/low", 0), ("One.", "tones/high", 0), ("One.", "tones/low", 1)]
    for line in said:
        cast.say(*line)
    assert len(list((tmp_path / "kept").glob("*.npz"))) == len(said)


def test_voices_that_are_not_installed_are_left_out(tmp_path: Path, monkeypatch):
    def say(self: Speaker, text: str, seed: int) -> None:
        if self.voice != "flite/awb":
            raise MissingPackage("not here")

    monkeypatch.setattr(Speaker, "say", say)
    assert [speaker.voice for speaker in speakers(KeptCast(tmp_path), ())] == ["flite/awb"]


def test_no_voice_at_all_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch):
    def say(self: Speaker, text: str, seed: int) -> None:
        raise MissingPackage("not here")

    monkeypatch.setattr(Speaker, "say", say)
    with pytest.raises(ValueError, match="--voices"):
        speakers(KeptCast(tmp_path), ())


def test_an_unknown_voice_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="no voice"):
        speakers(KeptCast(tmp_path), ("tones/none",))
