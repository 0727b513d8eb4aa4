import pytest
import torch
from safetensors.torch import load_file, save_file

from model.checkpoint import load_checkpoint
from model.loading import load_engine
from model.network import Network
from model.parts import part_tensors
from model.presets import tiny
from scripts.assemble_weights import find_parts, main
from tests.model.tiny_weights import save_tiny_weights


@pytest.fixture
def parts(tmp_path):
    """A directory as a stage exports it, of an image tokenizer with weights of its own."""
    network = Network(tiny(), with_decoder=False)
    network.init(seed=99)
    (tmp_path / "parts").mkdir()
    save_file(dict(network.image_vq.state_dict()), tmp_path / "parts" / "image_vq.safetensors")
    return tmp_path / "parts"


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "weights").mkdir()
    return save_tiny_weights(tmp_path / "weights")


def test_part_is_loaded_with_the_model_and_the_decoder_stays(weights, parts, capsys):
    before = load_checkpoint(weights)
    assert main([str(weights), "--parts", str(parts), "--note", "Drawn at random."]) == 0
    assert "MB" in capsys.readouterr().out
    after = load_checkpoint(weights)
    assert after.description.provenance == "for tests Drawn at random."
    assert set(before.tensors) <= set(after.tensors)
    part = load_file(parts / "image_vq.safetensors")
    for name, tensor in part.items():
        torch.testing.assert_close(after.tensors[f"image_vq.{name}"].float(), tensor.float(), rtol=1e-2, atol=1e-6)
    assert load_engine(weights, backend="dequantized").info.weights_hash == after.weights_hash


def test_large_matrices_are_stored_in_eight_bits_and_load(weights, parts, monkeypatch):
    monkeypatch.setattr("scripts.checkpoint_update.LEAST_PACKED", 100)
    main([str(weights), "--parts", str(parts)])
    stored = {entry.stored for name, entry in load_checkpoint(weights).tensors.entries.items() if "image_vq" in name}
    assert stored == {"int8", "float32", "int64"}
    part = load_file(parts / "image_vq.safetensors")
    for name, tensor in part_tensors(weights, "image_vq").items():
        torch.testing.assert_close(tensor.float(), part[name].float(), rtol=0.0, atol=0.01)
    load_engine(weights, backend="dequantized")


def test_readers_go_along(weights, parts):
    save_file({"weight": torch.ones(2)}, parts / "image_vq_reader.safetensors")
    main([str(weights), "--parts", str(parts)])
    assert torch.equal(load_file(weights / "image_vq_reader.safetensors")["weight"], torch.ones(2))


def test_same_note_is_not_said_twice(weights, parts):
    for _ in range(2):
        main([str(weights), "--parts", str(parts), "--note", "Drawn at random."])
    assert load_checkpoint(weights).description.provenance == "for tests Drawn at random."


def test_replaced_part_is_no_longer_called_untrained(weights, parts):
    network = Network(tiny(), with_decoder=False)
    network.init(seed=98)
    save_file(dict(network.audio_codec.state_dict()), parts / "audio_codec.safetensors")
    main([str(weights), "--parts", str(parts)])
    untrained = load_checkpoint(weights).description.untrained
    assert "vision" in untrained
    assert not {"audio_codec", "image_vq", "embedding.text"} & set(untrained)


def test_part_that_does_not_fit_leaves_the_checkpoint_as_it_was(weights, parts, capsys):
    before = load_checkpoint(weights).weights_hash
    save_file({"other": torch.ones(1)}, parts / "vision.safetensors")
    assert main([str(weights), "--parts", str(parts)]) == 1
    assert "vision lacks" in capsys.readouterr().err
    assert load_checkpoint(weights).weights_hash == before


def test_directory_without_parts_and_a_part_twice_are_refused(parts, tmp_path):
    with pytest.raises(ValueError, match="holds none of"):
        find_parts([tmp_path])
    with pytest.raises(ValueError, match="image_vq comes twice"):
        find_parts([parts, parts])
