"""The realtime stage on the tiny model: silence is learned where it is due, and a voice prompt selects the voice."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from model.network import PARTS, Network
from model.presets import tiny
from model.tokenizers.text import ByteTokenizer
from model.training.config import LoopConfig
from model.training.data.clip import Split
from model.training.forward import hidden_states, mean_loss
from model.training.language_stage import WEIGHTS_NAME, language_network, place_new_ids, save_language
from model.training.live_sample import LiveScribe, SilenceWeights
from model.training.loop import run
from model.training.packed_rows import RowsConfig, pack
from model.training.registry import Setup
from model.training.sequences import Sample
from model.training.simulation.cast import Cast
from model.training.simulation.script import AgentSpeaks, Script, UserSpeaks
from model.training.simulation.session import simulate
from model.training.simulation.store import path_of, write_session
from model.training.stages.realtime import RealtimeConfig, RealtimeStage, senses_of
from model.training.stages.simulate import DIRECTORY
from tests.model.training.simulation.bills import script_of

CONFIG = RealtimeConfig(
    loop=LoopConfig(steps=40, learning_rate=1e-2, warmup_steps=5, bf16=False, evaluate_every=0, checkpoint_every=1000),
    rows=RowsConfig(rows=2, positions=128),
)
ASK = UserSpeaks(pieces=("Hi there.",), pause_us=500_000)
VOICES = ("tones/low", "tones/bright")


def scripts(split: Split) -> list[Script]:
    """A question and an answer, in a room without noise."""
    answers = ("Hello there, my friend.", "Yes.") if split is Split.TRAIN else ("Hello there, my friend.",)
    return [
        msgspec.structs.replace(script_of(ASK, AgentSpeaks(text=text)), index=index, split=split)
        for index, text in enumerate(answers)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    for split in Split:
        for script in scripts(split):
            session = simulate(script, Cast(), drawing_ticks=3)
            write_session(session, path_of(directory / DIRECTORY, split, script.index))
    return directory


def build(data: Path, config: RealtimeConfig = CONFIG) -> RealtimeStage:
    return config.build(Setup(tiny(), data, torch.device("cpu")))


def test_silence_is_learned_where_it_is_due_and_not_where_the_agent_should_speak(data, tmp_path):
    stage = build(data)
    before = stage.evaluate()
    after = run(stage, CONFIG.loop, tmp_path).figures
    for head in ("text", "audio"):
        assert after[f"{head}_silent_when_due"] > before[f"{head}_silent_when_due"] + 0.3
        assert after[f"{head}_silent_when_due"] > after[f"{head}_silent_when_speaking"] + 0.3
    assert after["loss"] < before["loss"] / 2
    assert (tmp_path / "export" / "language_model.safetensors").is_file()


def test_sessions_are_tokenized_once(data):
    build(data)
    (tokens,) = (data / DIRECTORY).glob("tokens-*")
    times = {path: path.stat().st_mtime_ns for path in tokens.rglob("*.safetensors")}
    assert len(times) == 3
    build(data)
    assert {path: path.stat().st_mtime_ns for path in tokens.rglob("*.safetensors")} == times


def test_a_batch_is_a_function_of_its_number(data):
    first, again, other = (build(data).batch(index) for index in (4, 4, 5))
    assert torch.equal(first.ids_BT, again.ids_BT)
    assert torch.equal(first.tick_BT, again.tick_BT)
    assert not torch.equal(first.tick_BT, other.tick_BT)


def test_stretches_come_from_any_time_of_a_long_session(data):
    ticks = torch.cat([build(data).batch(index).tick_BT.amax(1) for index in range(8)])
    assert ticks.max() > 1_000
    assert ticks.max() <= CONFIG.max_shift_ticks + 200


def test_weights_of_silence_are_positive():
    with pytest.raises(ValueError, match="positive weight"):
        SilenceWeights(silence=0.0)


def test_a_missing_part_is_an_error_that_names_it(data, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"{PARTS[0]}\.safetensors"):
        build(data, replace(CONFIG, parts=tmp_path))


def test_only_the_last_layers_learn_where_that_is_asked(data):
    network = build(data, replace(CONFIG, last_layers=1)).network
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    last = len(network.decoder.layers) - 1
    assert any(name.startswith(f"decoder.layers.{last}.") for name in learning)
    assert not any(name.startswith(("embedding.", "decoder.layers.0.")) for name in learning)
    assert "text_head.extra.weight" in learning


def test_a_model_that_is_not_to_speak_keeps_the_weights_of_its_voice(data):
    stage = build(data, replace(CONFIG, abilities=replace(tiny().abilities, speaks=False)))
    network, batch = stage.network, stage.batch(0)
    assert not batch.audio_weight_BT.any()
    assert not batch.source_BT.flatten()[batch.frame_at_A].any()  # all sound in it is the user's
    learning = {name.partition(".")[0] for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert not learning & {"audio_head", "depth_head"}
    assert not network.embedding.audio.table.weight.requires_grad


def test_a_model_that_does_not_hear_cannot_learn_from_speech_and_is_told_so(data):
    with pytest.raises(ValueError, match=r"000000\.mcap.*a model that hears"):
        build(data, replace(CONFIG, abilities=replace(tiny().abilities, hears=False)))


@pytest.mark.parametrize("last_layers", [0, -1, 99])
def test_layers_that_are_not_there_cannot_learn(data, last_layers):
    with pytest.raises(ValueError, match="cannot learn"):
        build(data, replace(CONFIG, last_layers=last_layers))


def test_words_can_be_kept_as_they_are(data):
    network = build(data, replace(CONFIG, words_learn=False)).network
    assert not network.embedding.text.weight.requires_grad
    assert network.embedding.extra.weight.requires_grad


def test_sessions_of_several_directories_are_one_set(data, tmp_path):
    session = simulate(scripts(Split.TRAIN)[0], Cast(), drawing_ticks=3)
    for split in Split:
        write_session(session, path_of(data / "more", split, 7))
    first = {build(data).batch(index).num_samples for index in range(4)}
    both = {build(data, replace(CONFIG, sessions=(DIRECTORY, "more"))).batch(index).num_samples for index in range(4)}
    assert first
    assert both
    assert list((data / "more").glob("tokens-*/train/000007.safetensors"))


# --- new ids --------------------------------------------------------------------------------------------------------


def test_ids_that_are_new_to_a_text_model_begin_among_its_words(tmp_path):
    network, image_vq = language_network(tiny(), None, seed=0), Network(tiny(), with_decoder=False).image_vq
    assert image_vq is not None
    image_vq.quantizer.codebooks_KVD.normal_(generator=torch.Generator().manual_seed(0))
    image_vq.quantizer.codebooks_KVD[0, 1] = image_vq.quantizer.codebooks_KVD[0, 0] + 0.01
    place_new_ids(network, image_vq, seed=0)
    words_VD, rows_XD = network.embedding.text.weight, network.embedding.extra.weight
    first = network.config.vocab.first_image - network.config.vocab.text
    distances = torch.cdist(rows_XD[first : first + 1], rows_XD[first:])[0]
    assert distances[1] < distances[2:].median()  # codes that look alike
    assert torch.allclose(
        (rows_XD - words_VD.mean(0)).norm(dim=1), (words_VD - words_VD.mean(0)).norm(dim=1).mean().expand(len(rows_XD))
    )
    assert torch.equal(network.text_head.extra.weight[: len(rows_XD)], rows_XD)


def test_new_ids_are_laid_out_only_where_the_start_lacks_them(tmp_path):
    text_only = language_network(tiny(), None, seed=1)
    save_language(text_only, tmp_path / "whole")
    weights = load_file(tmp_path / "whole" / WEIGHTS_NAME)
    (tmp_path / "text").mkdir()
    save_file({n: t for n, t in weights.items() if "extra" not in n}, tmp_path / "text" / WEIGHTS_NAME)
    kept = language_network(tiny(), tmp_path / "whole", seed=0)
    laid_out = language_network(tiny(), tmp_path / "text", seed=0)
    assert torch.equal(kept.embedding.extra.weight, text_only.embedding.extra.weight)
    assert not torch.equal(laid_out.embedding.extra.weight, text_only.embedding.extra.weight)
    assert torch.equal(laid_out.embedding.text.weight, text_only.embedding.text.weight)


# --- voices ---------------------------------------------------------------------------------------------------------


class PitchCodec(nn.Module):
    """A toy: a frame's codes are its pitch and its loudness. An untrained codec would hardly tell voices apart."""

    def encoder_state(self) -> None:
        return None

    def encode_frame(self, state: None, pcm_B1T: torch.Tensor) -> tuple[torch.Tensor, None]:
        pcm = pcm_B1T[0, 0]
        crossings = int((pcm[1:].sign() != pcm[:-1].sign()).sum()) if float(pcm.abs().max()) > 0.02 else 0
        loudness = int(pcm.square().mean().sqrt() * 50)
        return torch.tensor([[min(crossings // 2, 255), loudness, min(crossings // 16, 255), 7]]), None


def spoken_in(voice: str) -> Sample:
    """The same words asked and answered; only the voice of prompt and agent differ."""
    script = script_of(ASK, AgentSpeaks(text="Yes, I hear you."), agent_voice=voice, voice_text="This is my voice.")
    session = simulate(script, Cast(), drawing_ticks=3)
    senses = senses_of(Network(tiny(), with_decoder=False), None)
    senses.audio_codec = PitchCodec()
    return LiveScribe(senses, ByteTokenizer(), SilenceWeights()).write(session.windows, session.outputs)


def with_prompt_of(sample: Sample, other: Sample) -> Sample:
    """The sample after the prompt of another."""
    num_pinned = sum(block.pinned for block in sample.blocks)
    assert num_pinned == sum(block.pinned for block in other.blocks)
    return replace(sample, blocks=(*other.blocks[:num_pinned], *sample.blocks[num_pinned:]))


@torch.no_grad()
def first_frame(network: Network, sample: Sample) -> list[int]:
    """What the model says first, taking the likeliest digits."""
    place = int(np.flatnonzero(sample.audio_TK[:, 0] >= 0)[0])
    hidden_D = hidden_states(network, pack([sample], len(sample)))[0, place]
    codes_K = network.draw_frame(hidden_D, lambda logits, digit: int(logits.argmax()))
    assert codes_K is not None, "it should speak here"
    return codes_K.tolist()


def test_the_voice_prompt_changes_the_codes_of_the_voice():
    low, bright = (spoken_in(voice) for voice in VOICES)
    network = language_network(tiny(), None, seed=1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    rows = pack([low, bright], len(low))
    for _ in range(150):
        optimizer.zero_grad()
        mean_loss(network, rows).total.backward()
        optimizer.step()
    own = [first_frame(network, low), first_frame(network, bright)]
    swapped = [first_frame(network, with_prompt_of(low, bright)), first_frame(network, with_prompt_of(bright, low))]
    assert own[0] != own[1]
    assert swapped == own[::-1]  # before the first frame nothing but the prompt tells the voice
