import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model.encoders.audio import AudioEncoder, Pooling, tiny_audio_encoder
from model.encoders.audio_front import MelFront
from model.training.stages.audio_encoder import AudioEncoderStage, HearingConfig, load_start
from tests.model.training.tones import ToneSet

ENCODER = dataclasses.replace(
    tiny_audio_encoder(d_out=24),
    wave=None,
    mel=MelFront(bands=20),
    pooling=Pooling.STACK,
    positions_per_frame=3,
    width=32,
)
LETTER_SECONDS = 0.4

CLIPS = ToneSet("ab", "ba", "aab", "bba", "abab", "baab", "a", "b", letter_seconds=LETTER_SECONDS)
CONFIG = HearingConfig(clips_per_batch=4, pool_batches=2)


def stage(config: HearingConfig = CONFIG) -> AudioEncoderStage:
    return AudioEncoderStage(ENCODER, config, CLIPS, ToneSet("ab", "ba", "aab", letter_seconds=LETTER_SECONDS))


def test_learns_to_read_letters_from_tones():
    torch.manual_seed(0)
    trained = stage()
    optimizer = torch.optim.AdamW(trained.reader.parameters(), lr=3e-3)
    losses = []
    for step in range(60):
        loss = trained.loss("hear", trained.batch(step), step).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_learns_what_a_teacher_hears(whisper_file):
    torch.manual_seed(0)
    wide = dataclasses.replace(ENCODER, width=64)
    config = dataclasses.replace(CONFIG, recogniser=whisper_file, recogniser_weight=20.0)
    trained = AudioEncoderStage(wide, config, CLIPS, CLIPS)
    optimizer = torch.optim.AdamW(trained.reader.parameters(), lr=3e-3)
    errors = []
    for step in range(30):
        loss = trained.loss("hear", trained.batch(step), step)
        torch.testing.assert_close(loss.total, loss.parts["letters"] + 20.0 * loss.parts["taught"])
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        errors.append(float(loss.parts["taught"].detach()))
    assert np.mean(errors[-5:]) < 0.8 * np.mean(errors[:5])


def test_teacher_of_another_width_is_refused(whisper_file):
    with pytest.raises(ValueError, match="12 vectors of 64 a frame, the encoder has 12 of 32"):
        stage(dataclasses.replace(CONFIG, recogniser=whisper_file))


def test_batch_is_the_same_whenever_it_is_asked_for():
    first, again, other = stage().batch(5), stage().batch(5), stage().batch(6)
    assert torch.equal(first.pcm_B1T, again.pcm_B1T)
    assert first.texts == again.texts
    assert not torch.equal(first.pcm_B1T, other.pcm_B1T)


def test_disturbed_sound_stays_in_range_and_whole_frames():
    batch = stage().batch(0)
    assert batch.pcm_B1T.abs().max() <= 1.0
    assert batch.pcm_B1T.shape[-1] % 6_000 == 0


def test_clips_longer_than_allowed_are_not_drawn():
    batch = stage(dataclasses.replace(CONFIG, max_seconds=0.9)).batch(0)
    assert {len(text) for text in batch.texts} <= {1, 2}


def test_units_are_seconds_of_sound():
    trained = stage()
    batch = trained.batch(0)
    assert trained.loss("hear", batch, 0).num_units == sum(batch.num_frames) / 4


def test_evaluation_of_an_untrained_reader_is_wrong():
    assert stage().evaluate()["word_error_rate"] >= 1.0


def test_exported_weights_are_those_of_the_encoder(tmp_path):
    trained = stage()
    trained.export(tmp_path)
    encoder = AudioEncoder(ENCODER)
    encoder.load_state_dict(load_file(tmp_path / "audio_encoder.safetensors"), strict=True)
    for name, value in trained.reader.encoder.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value)


def test_start_that_does_not_fit_is_refused(tmp_path):
    save_file({"norm.weight": torch.ones(32), "other": torch.ones(1)}, tmp_path / "start.safetensors")
    with pytest.raises(ValueError, match=r"has \['other'\] besides"):
        load_start(AudioEncoder(ENCODER), tmp_path / "start.safetensors")
