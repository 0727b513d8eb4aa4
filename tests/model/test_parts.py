import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from model.checkpoint import Description, save_checkpoint
from model.int8 import pack
from model.network import Network
from model.parts import load_part, load_reader, part_tensors
from model.presets import tiny


def image_vq(seed: int) -> nn.Module:
    network = Network(tiny(), with_decoder=False)
    network.init(seed)
    return network.image_vq


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_part_comes_from_its_file_its_directory_or_a_checkpoint(tmp_path):
    trained = image_vq(1)
    save_file(dict(trained.state_dict()), tmp_path / "image_vq.safetensors")
    tensors = {f"image_vq.{name}": tensor for name, tensor in trained.state_dict().items()}
    model = json.loads(json.dumps(tiny().to_json()))
    save_checkpoint(tmp_path / "weights", Description(model, 0, (), "for tests"), tensors)
    for path in (tmp_path / "image_vq.safetensors", tmp_path, tmp_path / "weights"):
        loaded = image_vq(2)
        load_part(loaded, path, "image_vq")
        assert same(loaded, trained), path


def test_packed_weights_of_a_checkpoint_are_unpacked(tmp_path):
    weight = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    save_checkpoint(tmp_path, Description({}, 0, (), "for tests"), {"vision.weight": pack(weight)})
    torch.testing.assert_close(part_tensors(tmp_path, "vision")["weight"], weight, atol=0.02, rtol=0.0)


def test_part_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"vision\.safetensors"):
        part_tensors(tmp_path, "vision")
    save_checkpoint(tmp_path, Description({}, 0, (), "for tests"), {"other.weight": torch.ones(1)})
    with pytest.raises(ValueError, match="no trained vision"):
        part_tensors(tmp_path, "vision")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop(next(iter(state))), "lacks"),
        (lambda state: state.update({next(iter(state)): torch.ones(1)}), r"is \[1\], the model's \["),
        (lambda state: state.update(more=torch.ones(1)), "has no 'more'"),
    ],
)
def test_part_that_does_not_fit_changes_nothing(tmp_path, change, message):
    state = dict(image_vq(1).state_dict())
    change(state)
    save_file(state, tmp_path / "image_vq.safetensors")
    loaded = image_vq(2)
    with pytest.raises(ValueError, match=message):
        load_part(loaded, tmp_path, "image_vq")
    assert same(loaded, image_vq(2))


def test_readers_lie_beside_the_part(tmp_path):
    reader = nn.Linear(2, 3)
    save_file(dict(reader.state_dict()), tmp_path / "vision_reader.safetensors")
    loaded = nn.Linear(2, 3)
    load_reader(loaded, tmp_path, "vision")
    assert same(loaded, reader)
    with pytest.raises(FileNotFoundError, match="audio_encoder_reader"):
        load_reader(loaded, tmp_path, "audio_encoder")
