from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from model.checkpoint import Description, is_quantizable, load_checkpoint, save_checkpoint
from model.fp4 import Fp4Format, PackedFp4, dequantize
from model.network import Network
from model.presets import tiny
from model.training.config import LoopConfig
from model.training.loop import run
from model.training.qat import attach_grid, chosen_modules, grid_computed_once, stored_tensors
from model.training.stage import Loss


class Seen:
    """The last weight that each layer on the grid multiplied with."""

    def __init__(self, root: nn.Module) -> None:
        self.weights: dict[str, torch.Tensor] = {}
        for name, part in root.named_modules():
            if isinstance(part, nn.Linear):
                part.register_forward_hook(lambda part, args, out, name=name: self.keep(name, part))

    def keep(self, name: str, part: nn.Linear) -> None:
        self.weights[f"{name}.weight"] = part.weight.detach().clone()


class TextStage:
    """Predicts the next byte of noise with the tiny model."""

    unit = "tokens"

    def __init__(self) -> None:
        self.network = Network(tiny())
        self.network.init(0)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.network}

    def batch(self, index: int) -> torch.Tensor:
        return torch.randint(256, (2, 9), generator=torch.Generator().manual_seed(index % 3))

    def loss(self, phase: str, batch: torch.Tensor, step: int) -> Loss:
        position = torch.arange(8).expand(2, -1)
        x = self.network.embedding(self.network.embedding.content(batch[:, :-1]), position, position, position * 0)
        logits = self.network.text_head(self.network.decoder(x, position), with_extra=False)
        total = nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        return Loss(total, 16)

    def evaluate(self) -> dict[str, float]:
        self.seen = Seen(self.network)
        return {"loss": float(self.loss("model", self.batch(0), 0).total)}

    def export(self, directory: Path) -> None:
        description = Description(tiny().to_json(), init_seed=0, untrained=(), provenance="test")
        save_checkpoint(directory, description, stored_tensors(self.network))


@pytest.mark.parametrize("format", list(Fp4Format))
def test_exported_weights_dequantize_to_exactly_what_training_saw(format: Fp4Format, tmp_path: Path) -> None:
    stage = TextStage()
    start = stage.network.decoder.layers[0].ffn.up_proj.weight.detach().clone()
    config = LoopConfig(steps=3, warmup_steps=0, learning_rate=1e-2, qat=format, bf16=False, ema_decay=0.5)
    run(stage, config, tmp_path)
    stored = load_checkpoint(tmp_path / "export").tensors
    assert set(stored) == set(Network(tiny()).state_dict())
    on_grid = {name for name, tensor in stored.items() if isinstance(tensor, PackedFp4)}
    plain = Network(tiny()).state_dict()
    assert on_grid == {name for name, tensor in plain.items() if is_quantizable(name, tuple(tensor.shape), format)}
    compared = on_grid & stage.seen.weights.keys()
    assert len(compared) > 10
    for name in compared:
        assert torch.equal(dequantize(stored[name]), stage.seen.weights[name]), name
    assert not torch.equal(start, dequantize(stored["decoder.layers.0.ffn.up_proj.weight"]))


def test_gradients_pass_straight_through_the_grid() -> None:
    plain, gridded = nn.Linear(32, 4, bias=False), nn.Linear(32, 4, bias=False)
    gridded.load_state_dict(plain.state_dict())
    attach_grid(gridded, Fp4Format.NVFP4)
    x = torch.randn(3, 32)
    assert not torch.equal(plain(x), gridded(x))
    plain(x).sum().backward()
    gridded(x).sum().backward()
    assert torch.equal(plain.weight.grad, gridded.parametrizations.weight.original.grad)


def test_other_networks_train_their_fitting_linear_layers_on_the_grid() -> None:
    network = nn.Sequential(nn.Linear(32, 8), nn.Linear(8, 32), nn.Conv1d(32, 32, 1))
    assert chosen_modules(network, Fp4Format.MXFP4) == [network[0]]
    with pytest.raises(ValueError, match="nvfp4 divides"):
        attach_grid(nn.Linear(8, 8), Fp4Format.NVFP4)


def test_weights_are_rounded_once_for_all_micro_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(32, 4)
    attach_grid(layer, Fp4Format.NVFP4)
    grid, calls = layer.parametrizations.weight[0], []
    rounded = grid.forward
    monkeypatch.setattr(grid, "forward", lambda weight: calls.append(1) or rounded(weight))
    with grid_computed_once():
        for _ in range(3):
            layer(torch.randn(2, 32)).sum().backward()
    assert len(calls) == 1
    assert parametrize.is_parametrized(layer)
