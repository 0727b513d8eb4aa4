import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.fp4 import Fp4Format
from model.training.loop import run
from model.training.parallel import ParallelConfig, find_place, split_layer
from model.training.progress import read_lines
from model.training.qat import attach_grid
from tests.model.training.parallel_stage import CONFIG, STEPS, SmallStage

ROOT = Path(__file__).parents[3]
LAYOUTS = ("fsdp", "tensor")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone")
    run(SmallStage(), CONFIG, out)
    return out


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two processes, as torchrun would start them."""
    out = tmp_path_factory.mktemp("together")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    common = os.environ | {"PYTHONPATH": str(ROOT), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.model.training.parallel_stage", str(out)],
            cwd=ROOT,
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    return out


def curve(out: Path, name: str) -> list[float]:
    return [line[name] for line in read_lines(out / "metrics.jsonl") if name in line]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["loss", "gradient_norm", "held_out/loss"])
def test_two_processes_see_the_curves_of_one(alone: Path, together: Path, layout: str, name: str) -> None:
    expected = curve(alone, name)
    assert len(expected) == (2 if name == "held_out/loss" else STEPS)
    assert curve(together / layout, name) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_processes_export_the_whole_weights_of_one(alone: Path, together: Path, layout: str) -> None:
    expected = load_file(alone / "export" / "model.safetensors")
    weights = load_file(together / layout / "export" / "model.safetensors")
    assert expected.keys() == weights.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_process_goes_on_from_the_checkpoint_of_two(
    alone: Path, together: Path, layout: str, tmp_path: Path
) -> None:
    shutil.copytree(together / layout / "checkpoints", tmp_path / "checkpoints")
    shutil.rmtree(tmp_path / "checkpoints" / f"step-{STEPS:08}")
    report = run(SmallStage(), CONFIG, tmp_path, resume=True)
    assert report.figures["loss"] == pytest.approx(curve(alone, "held_out/loss")[-1], rel=1e-4)
    assert len(curve(tmp_path, "loss")) == STEPS - 4


def test_wrong_number_of_processes_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 6 processes, but 1"):
        find_place(ParallelConfig(fsdp=3, tensor=2))


def test_recomputing_layers_changes_no_bit(alone: Path, tmp_path: Path) -> None:
    run(SmallStage(), replace(CONFIG, recompute=True), tmp_path)
    assert curve(tmp_path, "loss") == curve(alone, "loss")


def test_layers_on_the_grid_are_not_split() -> None:
    layer = SmallStage().network.decoder.layers[0]
    attach_grid(layer, Fp4Format.NVFP4)
    with pytest.raises(ValueError, match="does not combine"):
        split_layer(layer, Processes(2))


@pytest.mark.parametrize(("share", "message"), [("num_kv_heads", "2 key/value heads"), ("d_ffn", "48 feed-forward")])
def test_layers_that_do_not_divide_are_refused(share: str, message: str) -> None:
    layer = SmallStage().network.decoder.layers[0]
    if share == "d_ffn":
        layer.attention.num_kv_heads = 5
    with pytest.raises(ValueError, match=f"{message}.* cannot be split over 5"):
        split_layer(layer, Processes(5))


class Processes:
    """Stands in for a mesh that is only asked how many there are."""

    def __init__(self, count: int) -> None:
        self.count = count

    def size(self) -> int:
        return self.count
