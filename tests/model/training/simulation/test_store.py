"""Simulated sessions on disk: recordings like any other, the same bytes whenever they are made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.presets import tiny
from model.training.data.clip import Split
from model.training.registry import Setup
from model.training.simulation.cast import Cast, check_voices, training_voices
from model.training.simulation.playwright import write_script
from model.training.simulation.session import simulate
from model.training.simulation.store import SessionSet, path_of, read_session, write_session
from model.training.stages.simulate import DIRECTORY, SimulateConfig
from realtime.recording.recorder import read_recording
from realtime.recording.summary import summarize, summary_lines
from tests.model.training.simulation.bills import TONES, small_script

FIXTURES = Path(__file__).parents[3] / "fixtures"
CONFIG = SimulateConfig(sessions=2, eval_sessions=1, exchanges=1)


def setup(data: Path) -> Setup:
    return Setup(tiny(), data, torch.device("cpu"))


def test_what_is_written_is_read_again(tmp_path):
    session = simulate(small_script(1), Cast(), drawing_ticks=3)
    write_session(session, tmp_path / "one.mcap")
    stored = read_session(tmp_path / "one.mcap")
    assert stored.story == session.story
    windows = list(stored.windows)
    assert len(windows) == session.num_ticks
    for before, after in zip(session.windows, windows, strict=True):
        assert np.array_equal(before.audio, after.audio)
        assert len(before.frames) == len(after.frames)
        assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(before.frames, after.frames, strict=True))
        assert len(before.commands) == len(after.commands)
    said = [(output.tick, output.text, output.response, output.finish) for output in session.outputs]
    assert [(o.tick, o.text, o.response, o.finish) for o in stored.outputs] == said


def test_the_same_session_is_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_session(simulate(small_script(2), Cast(), drawing_ticks=3), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_seed_is_another_session():
    assert write_script(TONES, Split.TRAIN, 0) != write_script(replace(TONES, seed=1), Split.TRAIN, 0)


def test_whatever_reads_recordings_reads_these(tmp_path):
    write_session(simulate(small_script(0), Cast(), drawing_ticks=3), tmp_path / "one.mcap")
    summary = summarize(read_recording(tmp_path / "one.mcap"))
    assert summary.num_ticks > 40
    assert summary.num_windows_with_sound == summary.num_ticks
    assert summary.ending is None
    assert any("simulation" in line for line in summary_lines(summary))


def test_a_run_that_goes_on_keeps_what_is_there(tmp_path):
    stage = CONFIG.build(setup(tmp_path))
    assert "3 sessions made" in stage.run(tmp_path / "out")
    first = path_of(tmp_path / DIRECTORY, Split.TRAIN, 0)
    before = {path: path.read_bytes() for path in (tmp_path / DIRECTORY).rglob("*.mcap")}
    first.unlink()
    assert "1 sessions made" in CONFIG.build(setup(tmp_path)).run(tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / DIRECTORY).rglob("*.mcap")} == before
    assert (tmp_path / "out" / "timeline.png").stat().st_size > 10_000
    assert len(SessionSet(tmp_path / DIRECTORY, Split.TRAIN)) == 2


def test_a_directory_takes_sessions_of_one_plan_only(tmp_path):
    CONFIG.build(setup(tmp_path))
    with pytest.raises(ValueError, match="another plan"):
        replace(CONFIG, seed=5).build(setup(tmp_path))


def test_held_out_voices_never_speak_in_training(tmp_path):
    with pytest.raises(ValueError, match="held out of training"):
        replace(CONFIG, user_voices=("kokoro/af_nova",)).build(setup(tmp_path))
    with pytest.raises(ValueError, match="held out of training"):
        training_voices(("flite/awb",))
    assert check_voices(("kokoro/af_nova",)) == ("kokoro/af_nova",)


def test_an_unknown_voice_is_an_error():
    with pytest.raises(ValueError, match="no voice 'tones/shrill'"):
        check_voices(("tones/shrill",))


def test_a_recording_of_a_real_session_is_no_simulation():
    with pytest.raises(ValueError, match="not of a simulation"):
        read_session(FIXTURES / "echo_session.mcap")


def test_no_sessions_are_an_error_that_says_how_to_make_some(tmp_path):
    with pytest.raises(FileNotFoundError, match="stage simulate"):
        SessionSet(tmp_path, Split.TRAIN)
