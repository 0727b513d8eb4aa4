"""The three pretraining stages on the tiny preset: what they read, what they teach, and what that does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.checkpoint import load_checkpoint
from model.fp4 import dequantize
from model.network import Network
from model.presets import tiny
from model.training.config import LoopConfig, Schedule
from model.training.corpus import HELD_OUT_FIRST
from model.training.forward import frame_logits, hidden_states, joint_weight
from model.training.language_stage import LanguageStage, language_network
from model.training.loop import run
from model.training.packed_rows import PADDING, PackedRows, RowsConfig
from model.training.registry import Setup
from model.training.stages.pretrain_all import PretrainAllConfig
from model.training.stages.pretrain_audio import PretrainAudioConfig
from model.training.stages.pretrain_text_image import PretrainTextImageConfig
from streams.types import Stream
from tests.model.tiny_weights import save_tiny_weights

ROWS = RowsConfig(rows=3, positions=96)
LOOP = LoopConfig(
    steps=30, learning_rate=5e-3, warmup_steps=4, schedule=Schedule.CONSTANT, bf16=False, evaluate_every=0, log_every=30
)
SETUP = Setup(tiny(), Path("nowhere"), torch.device("cpu"))
VOCAB = tiny().vocab


def train(stage: LanguageStage, out_dir: Path, loop: LoopConfig = LOOP) -> tuple[dict[str, float], dict[str, float]]:
    """Held-out figures before and after."""
    before = dict(stage.evaluate())
    return before, dict(run(stage, loop, out_dir).figures)


def real(rows: PackedRows, tensor: torch.Tensor) -> torch.Tensor:
    return tensor[rows.sample_BT != PADDING]


def no_output_probability(network: Network, rows: PackedRows, stream: Stream) -> tuple[float, float]:
    """Mean probability of No Output, text head and audio head, over the positions of one stream."""
    with torch.no_grad():
        hidden_ND = hidden_states(network, rows)[(rows.sample_BT != PADDING) & (rows.stream_BT == stream)]
        text = torch.softmax(hidden_ND @ joint_weight(network).T, -1)[:, VOCAB.no_output]
        first_digit = frame_logits(network, hidden_ND, torch.zeros((len(hidden_ND), 8), dtype=torch.long))[0]
        return float(text.mean()), float(torch.softmax(first_digit, -1)[:, -1].mean())


# --- text and pictures ----------------------------------------------------------------------------------------------


def test_text_and_pictures_share_one_time_are_received_and_stand_between_delimiters():
    stage = PretrainTextImageConfig(loop=LOOP, rows=ROWS).build(SETUP)
    rows = stage.batch(3)
    assert (real(rows, rows.tick_BT) == 0).all()
    assert (real(rows, rows.source_BT) == 0).all()
    ids = rows.ids_BT
    is_code = (ids >= VOCAB.first_image) & (ids < VOCAB.no_output)
    starts = (ids == VOCAB.delimiter("image_start")).nonzero()
    assert len(starts) >= 3
    for row, place in starts.tolist():
        end = place + 1 + tiny().image_vq.num_ids
        if end < ROWS.positions and rows.sample_BT[row, end] == rows.sample_BT[row, place]:
            assert is_code[row, place + 1 : end].all()
            assert ids[row, end] == VOCAB.delimiter("image_end")


def test_every_token_is_foreseen_from_the_one_before_and_nothing_is_asked_of_the_audio_head():
    rows = PretrainTextImageConfig(loop=LOOP, rows=ROWS).build(SETUP).batch(0)
    follows = (rows.sample_BT[:, 1:] == rows.sample_BT[:, :-1]) & (rows.sample_BT[:, 1:] != PADDING)
    assert (rows.text_BT[:, :-1][follows] == rows.ids_BT[:, 1:][follows]).all()
    assert (rows.text_weight_BT[:, :-1] == follows).all()
    assert (rows.audio_weight_BT == 0).all()


def test_text_and_pictures_are_learned_and_what_belongs_to_sound_stays(tmp_path: Path):
    stage = PretrainTextImageConfig(loop=LOOP, rows=ROWS).build(SETUP)
    weights = stage.network.state_dict()
    kept = {name: weights[name].clone() for name in weights if "audio" in name or "depth" in name}
    before, after = train(stage, tmp_path)
    assert after["text"] < 0.4 * before["text"]
    assert len(kept) > 10
    for name, tensor in kept.items():
        assert torch.equal(stage.network.state_dict()[name], tensor), name


# --- sound ----------------------------------------------------------------------------------------------------------


def test_the_time_of_an_audio_frame_is_its_position():
    rows = PretrainAudioConfig(loop=LOOP, rows=ROWS).build(SETUP).batch(0)
    heard = rows.stream_BT == Stream.AUDIO_IN
    assert heard.sum() > 80
    assert (rows.tick_BT[heard] == rows.position_BT[heard]).all()
    assert rows.tick_BT[heard].max() > 5
    assert (real(rows, rows.source_BT) == 0).all()


def test_only_the_audio_embedding_and_head_learn(tmp_path: Path):
    stage = PretrainAudioConfig(loop=LOOP, rows=ROWS).build(SETUP)
    start = {name: tensor.clone() for name, tensor in stage.network.state_dict().items()}
    before, after = train(stage, tmp_path)
    changed = {name for name, tensor in stage.network.state_dict().items() if not torch.equal(tensor, start[name])}
    assert changed == {name for name in start if name.startswith(("embedding.audio.", "depth_head."))}
    assert after["audio"] < 0.6 * before["audio"]


# --- all --------------------------------------------------------------------------------------------------------------


def test_a_batch_mixes_modalities_and_a_sample_does_not():
    rows = PretrainAllConfig(loop=LOOP, rows=ROWS).build(SETUP).batch(0)
    kinds = {}
    later = (rows.sample_BT != PADDING) & (rows.order_BT > 0)  # each begins with a delimiter or a word
    heard = rows.stream_BT == Stream.AUDIO_IN
    for number, is_heard in zip(rows.sample_BT[later].tolist(), heard[later].tolist(), strict=True):
        kinds.setdefault(number, set()).add(is_heard)
    assert {frozenset(kind) for kind in kinds.values()} == {frozenset({True}), frozenset({False})}


def test_the_head_that_a_sample_does_not_use_learns_to_be_silent_and_the_other_to_speak(tmp_path: Path):
    stage = PretrainAllConfig(loop=LOOP, rows=ROWS).build(SETUP)
    rows = stage.batch(HELD_OUT_FIRST)
    text_before, _ = no_output_probability(stage.network, rows, Stream.AUDIO_IN)
    _, audio_before = no_output_probability(stage.network, rows, Stream.TEXT_IN)
    before, after = train(stage, tmp_path)
    text_in_sound, audio_in_sound = no_output_probability(stage.network, rows, Stream.AUDIO_IN)
    text_in_text, audio_in_text = no_output_probability(stage.network, rows, Stream.TEXT_IN)
    assert text_before < 0.05
    assert audio_before < 0.2
    assert text_in_sound > 0.7
    assert audio_in_text > 0.7
    assert text_in_text < 0.2
    assert audio_in_sound < 0.2
    assert after["loss"] < before["loss"]
    changed = [not torch.equal(a, b) for a, b in zip(stage.network.parameters(), fresh().parameters(), strict=True)]
    assert all(changed)


# --- between stages -------------------------------------------------------------------------------------------------


def fresh() -> Network:
    return language_network(tiny(), None, LOOP.seed)


def test_a_stage_goes_on_from_what_another_exported(tmp_path: Path):
    first = PretrainTextImageConfig(loop=replace(LOOP, steps=2), rows=ROWS).build(SETUP)
    run(first, replace(LOOP, steps=2), tmp_path)
    export = tmp_path / "export"
    second = PretrainAudioConfig(loop=LOOP, rows=ROWS, start=export).build(SETUP)
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(second.network.state_dict()[name], tensor)
    wide = replace(tiny(), decoder=replace(tiny().decoder, d_ffn=64))
    with pytest.raises(ValueError, match="shape"):
        PretrainAudioConfig(start=export).build(replace(SETUP, model=wide))
    assert "embedding.fuse.weight" in load_file(export / "language_model.safetensors")


def test_a_stage_starts_from_a_checkpoint_and_keeps_its_own_seed_where_that_has_nothing(tmp_path: Path):
    save_tiny_weights(tmp_path)
    stored = load_checkpoint(tmp_path).tensors
    network = PretrainAllConfig(loop=LOOP, start=tmp_path).build(SETUP).network
    name = "decoder.layers.1.ffn.up_proj.weight"
    torch.testing.assert_close(network.state_dict()[name], dequantize(stored[name]))
    assert torch.equal(network.embedding.audio.table.weight, fresh().embedding.audio.table.weight)
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError):
        PretrainAllConfig(start=tmp_path / "none").build(SETUP)
