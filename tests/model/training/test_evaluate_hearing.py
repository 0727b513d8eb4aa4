import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model.encoders.audio import Pooling, tiny_audio_encoder
from model.encoders.audio_front import MelFront
from model.init import init_weights
from model.presets import PRESETS
from model.training.evaluate_hearing import disturbed, error_rate, milliseconds, read, reader_of, table_of
from model.training.held_out_speech import group_of
from model.training.stages.audio_encoder import Reader
from tests.model.training.tones import spoken


@pytest.fixture(scope="module")
def reader() -> Reader:
    config = dataclasses.replace(
        tiny_audio_encoder(d_out=24), wave=None, mel=MelFront(bands=20), pooling=Pooling.STACK, positions_per_frame=3
    )
    built = Reader(config, 4)
    init_weights(built, 0)
    return built.eval().requires_grad_(False)


def test_loaded_reader_hears_what_the_trained_one_hears(reader, tmp_path, monkeypatch):
    preset = SimpleNamespace(audio_encoder=reader.encoder.config)
    monkeypatch.setitem(PRESETS, "small", lambda: preset)
    save_file(dict(reader.encoder.state_dict()), tmp_path / "audio_encoder.safetensors")
    save_file(dict(reader.letters.state_dict()), tmp_path / "audio_encoder_reader.safetensors")
    sound = torch.from_numpy(spoken("ab").pcm)[None]
    assert torch.equal(reader_of(tmp_path, "small").encoder.encode(sound), reader.encoder.encode(sound))


def test_reader_takes_sound_of_any_length(reader):
    for num_samples in (1, 6_000, 10_001):
        assert isinstance(read(reader, np.zeros(num_samples, np.float32)), str)
    assert milliseconds(reader) > 0


def test_errors_are_counted_over_all_words():
    clips = [spoken("a b"), spoken("b b a a")]
    answers = iter(["a b", "b b a b"])
    assert error_rate(lambda pcm: next(answers), clips, "test") == pytest.approx(1 / 6)


def test_disturbed_clips_are_the_same_every_time_and_not_the_clean_ones():
    clips = [spoken("ab"), spoken("ba")]
    first, again = disturbed(clips), disturbed(clips)
    assert all(np.array_equal(one.pcm, other.pcm) for one, other in zip(first, again, strict=True))
    assert not np.array_equal(first[0].pcm, clips[0].pcm)


def test_people_are_not_counted_among_voices():
    assert group_of("joe", "piper", "joe") == "agent"
    assert group_of("slt", "flite", "joe") == "other voices"
    assert group_of("awb", "flite", "joe") == "unseen voices"
    assert group_of("allison-second-half", "asterisk", "joe") == "people"


def test_table_has_a_line_for_each_group_and_condition():
    table = table_of({"agent": {"clean": {"a": 0.5, "b": 0.25}, "disturbed": {"a": 1.0, "b": 0.0}}}, 6.0)
    assert "| agent | clean | 50.0 % | 25.0 % |" in table
    assert "| agent | disturbed | 100.0 % | 0.0 % |" in table
