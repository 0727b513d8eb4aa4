import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model.presets import tiny
from model.tokenizers.audio_codec import AudioCodec, tiny_codec, tiny_speech_codec
from model.tokenizers.quantizer import QuantizerKind
from model.training.codec_weights import BANDS, load_parts
from model.training.registry import Setup
from model.training.speech_rows import RowsConfig, SpeechRows
from model.training.stages.audio_codec import AudioCodecConfig, AudioCodecStage
from streams.types import SAMPLES_PER_TICK
from tests.model.training.tones import ToneSet

ROWS = RowsConfig(row_frames=8)
CONFIG = AudioCodecConfig(rows=ROWS, rows_per_batch=2)


def stage(codec=None, config: AudioCodecConfig = CONFIG) -> AudioCodecStage:
    clips = ToneSet("ab", "ba", "aab", "bb")
    return AudioCodecStage(codec or tiny_speech_codec(), config, clips, ToneSet("ab", "bab"))


def train(trained: AudioCodecStage, num_steps: int, rate: float) -> list[float]:
    optimizer = torch.optim.AdamW(trained.coder.parameters(), lr=rate)
    losses = []
    for step in range(num_steps):
        loss = trained.loss("code", trained.batch(step), step).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("codec", "share"),
    [(tiny_speech_codec(), 0.8), (tiny_codec(QuantizerKind.GRID), 0.9), (tiny_codec(QuantizerKind.RESIDUAL), 0.9)],
    ids=["mel bands", "samples, grid", "samples, residual"],
)
def test_every_kind_of_codec_learns(codec, share):
    torch.manual_seed(0)
    short = AudioCodecConfig(rows=RowsConfig(row_frames=4), rows_per_batch=1)
    losses = train(stage(codec, short), 20, 5e-3)
    assert np.mean(losses[-5:]) < share * np.mean(losses[:5])


def test_unknown_codec_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="no codec is called 'opus'; there are speech, light, seed"):
        AudioCodecConfig(codec="opus").build(Setup(tiny(), Path("data"), torch.device("cpu")))


def test_gradients_pass_the_quantizer_to_the_first_layer():
    trained = stage()
    trained.loss("code", trained.batch(0), 0).total.backward()
    missing = [
        name
        for name, parameter in trained.coder.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.abs().sum() > 0)
    ]
    assert missing == []
    assert trained.coder.codec.encoder.conv.conv.weight.grad is not None


def test_what_a_recogniser_hears_is_part_of_the_loss(whisper_file):
    config = dataclasses.replace(CONFIG, recogniser=whisper_file, recogniser_rows=1)
    with_ears, without = stage(config=config), stage()
    heard, plain = (each.loss("code", each.batch(0), 0) for each in (with_ears, without))
    assert 0.0 < float(heard.parts["heard"].detach()) < 3.0
    torch.testing.assert_close(heard.total, plain.total + config.recogniser_weight * heard.parts["heard"])


def test_vocoder_is_left_for_its_own_stage(tmp_path):
    trained = stage()
    assert not any(parameter.requires_grad for parameter in trained.coder.codec.decoder.vocoder.parameters())
    trained.export(tmp_path)
    with pytest.raises(ValueError, match="vocoder"):
        load_parts(AudioCodec(tiny_speech_codec()), tmp_path, ("",))


def test_export_is_what_the_next_run_starts_from(tmp_path):
    first = stage()
    train(first, 2, 1e-2)
    first.export(tmp_path)
    again = stage(config=dataclasses.replace(CONFIG, start=tmp_path))
    stored, loaded = first.coder.codec.state_dict(), again.coder.codec.state_dict()
    for name in stored:
        if name.startswith(BANDS):
            assert torch.equal(stored[name], loaded[name]), name


def test_weights_of_another_shape_are_refused_with_their_name(tmp_path):
    stage().export(tmp_path)
    other = tiny_speech_codec()
    wider = dataclasses.replace(other, mel=dataclasses.replace(other.mel, conv_channels=24))
    with pytest.raises(ValueError, match=r"encoder\.conv"):
        load_parts(AudioCodec(wider), tmp_path, BANDS)


def test_statistics_are_those_of_the_exported_weights():
    """A grid's levels are used evenly only where its norm fits the vectors that it gets."""
    trained = stage()
    with torch.no_grad():
        trained.coder.codec.encoder.to_vector.weight.mul_(50.0)  # as far from the old statistics as could be
    trained.evaluate()
    with torch.no_grad():
        z = trained.coder.codec.encoder(trained.batch(-1).pcm_B1T).flatten(0, 1)
        spread = trained.coder.codec.quantizer.norm.eval()(z).std(dim=0)
    assert 0.4 < float(spread.median()) < 2.5


def test_evaluation_is_the_same_twice():
    trained = stage()
    assert trained.evaluate() == trained.evaluate()


# --- rows ---


def test_batch_is_the_same_whenever_it_is_asked_for():
    first, again, other = stage().batch(5), stage().batch(5), stage().batch(6)
    assert torch.equal(first.pcm_B1T, again.pcm_B1T)
    assert first.labels == again.labels
    assert not torch.equal(first.pcm_B1T, other.pcm_B1T)


def test_row_is_filled_with_whole_clips():
    clips = ToneSet("a", "b")
    rows = SpeechRows(clips, ROWS)
    row = rows.row(np.random.default_rng(0))
    assert row.pcm.shape == (8 * SAMPLES_PER_TICK,)
    assert np.abs(row.pcm).max() <= 1.0
    assert len(row.texts) >= 2
    assert clips.num_read == len(set(row.texts))  # decoded once, however often it comes


def test_agent_and_others_come_in_their_shares():
    clips = ToneSet("a", speaker="joe")
    others = ToneSet("b", speaker="ann")
    clips.records += others.records
    clips._clips += others._clips
    rows = SpeechRows(clips, dataclasses.replace(ROWS, agent_share=0.8))
    random = np.random.default_rng(0)
    texts = [text for _ in range(60) for text in rows.row(random).texts]
    assert 0.7 < texts.count("a") / len(texts) < 0.9


def test_clip_longer_than_a_row_is_never_taken():
    long_clips = ToneSet("a" * 8, "b")
    texts = {text for seed in range(5) for text in SpeechRows(long_clips, ROWS).row(np.random.default_rng(seed)).texts}
    assert texts == {"b"}
    with pytest.raises(ValueError, match="none of 1 clips"):
        SpeechRows(ToneSet("a" * 8), ROWS)
