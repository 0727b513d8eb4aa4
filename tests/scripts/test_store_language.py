"""A trained language model goes back into a checkpoint in four bits; what training left alone keeps its bits."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.checkpoint import as_tensor, load_checkpoint
from model.fp4 import PackedFp4
from model.loading import load_engine
from model.network import Network
from model.presets import EVERYTHING, tiny
from model.tokenizers.text import ByteTokenizer
from model.training.language_stage import WEIGHTS_NAME, language_network, save_language
from model.training.live_sample import LiveScribe, SilenceWeights
from model.training.sample_files import save_sample
from model.training.simulation.cast import Cast
from model.training.simulation.session import simulate
from scripts.store_language import main
from tests.model.tiny_weights import save_tiny_weights
from tests.model.training.simulation.bills import small_script

LAST = f"decoder.layers.{tiny().decoder.num_layers - 1}.ffn.up_proj.weight"
FIRST = "decoder.layers.0.ffn.up_proj.weight"
DIALOGUES = b'[["How are you?","Fine, thank you very much. And how are you today?"]]\n' * 12


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "weights").mkdir()
    return save_tiny_weights(tmp_path / "weights")


@pytest.fixture
def trained(tmp_path, weights):
    """The export of a stage that changed the last layer, a norm and the rows of image codes."""
    network = language_network(tiny(), weights, seed=7)
    save_language(network, tmp_path / "export")
    tensors = load_file(tmp_path / "export" / WEIGHTS_NAME)
    generator = torch.Generator().manual_seed(1)
    for name in (LAST, "embedding.extra.weight", "decoder.norm.weight"):
        tensors[name] = tensors[name] + 0.1 * torch.randn(tensors[name].shape, generator=generator)
    save_file(tensors, tmp_path / "export" / WEIGHTS_NAME)
    return tmp_path / "export"


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Two tokenized sessions."""
    network = Network(replace(tiny(), abilities=EVERYTHING), with_decoder=False)
    network.init(seed=0)
    network.prepare_for_inference()
    scribe = LiveScribe(network, ByteTokenizer(), SilenceWeights())
    directory = tmp_path_factory.mktemp("tokens")
    for index in range(2):
        session = simulate(small_script(index), Cast(), drawing_ticks=3)
        save_sample(scribe.write(session.windows, session.outputs), directory / f"{index:06d}.safetensors")
    return directory


def run(weights, trained, sessions, *more):
    return main([str(weights), "--language", str(trained), "--sessions", str(sessions), *map(str, more)])


def test_only_what_was_trained_changes_and_the_model_can_do_more(weights, trained, sessions, tmp_path, capsys):
    before = load_checkpoint(weights)
    first, last = before.tensors[FIRST], as_tensor(before.tensors[LAST])
    dialogues = tmp_path / "dialogues.jsonl"
    dialogues.write_bytes(DIALOGUES)
    note = "Learned to see."
    assert run(weights, trained, sessions, "--abilities", "sees", "--note", note, "--dialogues", dialogues) == 0
    assert "MB" in capsys.readouterr().out
    after = load_checkpoint(weights)
    wanted = load_file(trained / WEIGHTS_NAME)
    kept = after.tensors[FIRST]
    assert isinstance(first, PackedFp4)
    assert isinstance(kept, PackedFp4)
    assert torch.equal(first.codes, kept.codes)
    assert torch.equal(as_tensor(after.tensors["decoder.norm.weight"]), wanted["decoder.norm.weight"])
    assert isinstance(after.tensors[LAST], PackedFp4)
    off = (as_tensor(after.tensors[LAST]) - wanted[LAST]).norm()
    assert off < (last - wanted[LAST]).norm()
    torch.testing.assert_close(
        as_tensor(after.tensors["embedding.extra.weight"]), wanted["embedding.extra.weight"], rtol=0.01, atol=0.01
    )
    assert "embedding.fuse.weight" not in after.tensors
    assert after.description.provenance == f"for tests {note}"
    info = load_engine(weights, backend="dequantized").info
    assert info.sees
    assert not info.hears


def test_training_that_changed_nothing_changes_no_tensor(weights, sessions, tmp_path):
    save_language(language_network(tiny(), weights, seed=7), tmp_path / "same")
    before = load_checkpoint(weights)
    assert run(weights, tmp_path / "same", sessions) == 0
    after = load_checkpoint(weights)
    assert set(after.tensors) == set(before.tensors) | {"embedding.extra.weight", "text_head.extra.weight"}


@pytest.mark.parametrize("missing", ["--language", "--sessions"])
def test_what_is_missing_is_named_and_nothing_is_written(weights, trained, sessions, tmp_path, capsys, missing):
    before = load_checkpoint(weights).weights_hash
    (tmp_path / "empty").mkdir()
    assert run(weights, trained, sessions, missing, tmp_path / "empty") == 1
    assert "empty" in capsys.readouterr().err
    assert load_checkpoint(weights).weights_hash == before


def test_dialogues_of_a_few_words_are_refused(weights, trained, sessions, tmp_path, capsys):
    (tmp_path / "short.jsonl").write_text('[["Hi","Hi"]]\n')
    assert run(weights, trained, sessions, "--dialogues", tmp_path / "short.jsonl") == 1
    assert "not enough to calibrate on" in capsys.readouterr().err
