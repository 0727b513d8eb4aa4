import dataclasses

import numpy as np
import pytest
import torch

from model.tokenizers.audio_codec import AudioCodec, tiny_speech_codec
from model.training.codec_weights import VOCODER, load_parts
from model.training.sound_critic import SoundCritic
from model.training.spectral_loss import SpectralLoss
from model.training.speech_rows import RowsConfig
from model.training.stages.audio_codec import AudioCodecConfig, AudioCodecStage
from model.training.stages.vocoder import VocoderStage, VocoderStageConfig
from streams.types import SAMPLE_RATE_HZ
from tests.model.training.tones import ToneSet

CONFIG = VocoderStageConfig(
    rows=RowsConfig(row_frames=8), clips_per_batch=2, clip_frames=4, critic_from=3, critic_lead=1
)


CLIPS = ToneSet("aaa", "bbb")


def stage(config: VocoderStageConfig = CONFIG) -> VocoderStage:
    return VocoderStage(tiny_speech_codec(), config, CLIPS, CLIPS)


def train(trained: VocoderStage, num_steps: int) -> list[dict[str, float]]:
    optimizers = {phase: torch.optim.AdamW(net.parameters(), lr=3e-3) for phase, net in trained.networks.items()}
    history = []
    for step in range(num_steps):
        batch, figures = trained.batch(step), {}
        for phase, optimizer in optimizers.items():
            for other, network in trained.networks.items():
                network.requires_grad_(other == phase)
            loss = trained.loss(phase, batch, step)
            optimizer.zero_grad()
            loss.total.backward()
            optimizer.step()
            figures |= {phase: loss.total.item()} | {name: float(part.detach()) for name, part in loss.parts.items()}
        history.append(figures)
    return history


def test_sound_comes_nearer_to_what_the_bands_came_from():
    torch.manual_seed(0)
    history = train(stage(dataclasses.replace(CONFIG, critic_from=1_000)), 30)
    first, last = (np.mean([figures["spectral"] for figures in part]) for part in (history[:5], history[-5:]))
    assert last < 0.8 * first


def test_critic_waits_then_learns_alone_then_is_listened_to():
    history = train(stage(), 6)
    assert [figures["critic"] > 0 for figures in history] == [False] * 3 + [True] * 3
    assert ["score" in figures for figures in history] == [False] * 4 + [True] * 2


def test_what_a_recogniser_hears_is_part_of_the_loss(whisper_file):
    with_ears, without = stage(dataclasses.replace(CONFIG, recogniser=whisper_file)), stage()
    heard, plain = (each.loss("sound", each.batch(0), 0) for each in (with_ears, without))
    torch.testing.assert_close(heard.total, plain.total + heard.parts["heard"])
    heard.parts["heard"].backward()
    assert any(parameter.grad.abs().sum() > 0 for parameter in with_ears.networks["sound"].parameters())


def test_critic_learns_to_tell_noise_from_tones():
    torch.manual_seed(0)
    critic = SoundCritic(channels=4)
    optimizer = torch.optim.AdamW(critic.parameters(), lr=3e-3)
    seconds = torch.arange(6_000) / SAMPLE_RATE_HZ
    losses = []
    for step in range(25):
        true = 0.3 * torch.sin(2 * torch.pi * (300.0 + 10 * step) * seconds)[None]
        loss = critic.judging_loss(0.2 * torch.randn(1, 6_000), true)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_distance_of_a_sound_to_itself_is_nothing_and_grows_with_noise():
    distance = SpectralLoss()
    tone = 0.3 * torch.sin(torch.arange(12_000) * 0.1)[None]
    noise = torch.randn(1, 12_000, generator=torch.Generator().manual_seed(0))
    assert float(distance(tone, tone)) == 0.0
    assert 0.0 < float(distance(tone + 0.01 * noise, tone)) < float(distance(tone + 0.1 * noise, tone))


def test_distance_has_gradients_where_there_is_silence():
    made = torch.zeros(1, 6_000, requires_grad=True)
    SpectralLoss()(made, torch.zeros(1, 6_000)).backward()
    assert torch.isfinite(made.grad).all()


def test_learns_on_what_the_codec_makes_and_exports_the_whole(tmp_path):
    rows = AudioCodecConfig(rows=CONFIG.rows)
    AudioCodecStage(tiny_speech_codec(), rows, CLIPS, CLIPS).export(tmp_path / "bands")
    trained = stage(dataclasses.replace(CONFIG, codec=tmp_path / "bands", coded_share=0.5))
    bands = trained._bands(trained.batch(0))
    true_bands = trained.codec.encoder.mel(trained.batch(0)[:, None])
    assert torch.equal(bands[1], true_bands[1])
    assert not torch.allclose(bands[0], true_bands[0], atol=0.1)
    trained.export(tmp_path / "whole")
    load_parts(AudioCodec(tiny_speech_codec()), tmp_path / "whole", ("",))


def test_alone_it_exports_itself_alone(tmp_path):
    stage().export(tmp_path)
    codec = AudioCodec(tiny_speech_codec())
    load_parts(codec, tmp_path, VOCODER)
    with pytest.raises(ValueError, match="encoder"):
        load_parts(codec, tmp_path, ("",))


def test_evaluation_is_the_same_twice():
    trained = stage()
    assert trained.evaluate() == trained.evaluate()
