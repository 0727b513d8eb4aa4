import errno
from pathlib import Path

import pytest
import torch

from model.training import checkpoints as module
from model.training.checkpoints import Checkpoints, RunState
from model.training.shards import load_shards


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((2, 3), value), "step": torch.tensor(value), "ids": torch.tensor([int(value)])}


def test_tensors_and_state_come_back(tmp_path: Path) -> None:
    state = RunState(7, 1.5, 640.0, 5, 0.25, {5: {"loss": 0.25}})
    Checkpoints(tmp_path).save(state, tensors(7.0))
    live = tensors(0.0)
    assert Checkpoints(tmp_path).load_latest(live) == state
    assert all(torch.equal(live[name], tensor) for name, tensor in tensors(7.0).items())


@pytest.mark.parametrize("broken", ["save_shard", "write_atomically"])
def test_save_that_fails_half_way_leaves_the_last_one(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(RunState(step=1), tensors(1.0))

    def fill_disk(path: Path, *rest: object) -> None:
        (path / "half" if path.is_dir() else path).write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(module, broken, fill_disk)
        with pytest.raises(OSError, match="no space"):
            kept.save(RunState(step=2), tensors(2.0))
    live = tensors(0.0)
    assert Checkpoints(tmp_path).load_latest(live).step == 1
    assert live["w"][0, 0] == 1.0
    kept.save(RunState(step=2), tensors(2.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000002"]


@pytest.mark.parametrize(
    ("live", "message"),
    [
        ({"w": torch.zeros(2, 3)}, "does not have"),
        ({**tensors(0.0), "more": torch.zeros(2)}, "holds 0 of 2 elements of 'more'"),
        ({**tensors(0.0), "w": torch.zeros(3, 2)}, r"w: stored with shape \[2, 3\], but this run has \[3, 2\]"),
    ],
)
def test_checkpoint_of_another_model_is_refused(live: dict[str, torch.Tensor], message: str, tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(RunState(step=1), tensors(1.0))
    with pytest.raises(ValueError, match=message):
        load_shards(Checkpoints(tmp_path).path(1), live)


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        Checkpoints(tmp_path / "none").load_latest({})
