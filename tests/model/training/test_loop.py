import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.training.loop import run
from model.training.progress import read_lines
from tests.model.training.toy_stage import ToyStage, toy_config

ROOT = Path(__file__).parents[3]
STEPS = 11


def exported(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "export" / "toy.safetensors")


def losses(out: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in read_lines(out / "metrics.jsonl") if "loss" in line]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    run(ToyStage(), toy_config(STEPS), out)
    return out


def run_toy_process(out: Path, kill_at: int, mode: str) -> int:
    command = [sys.executable, "-m", "tests.model.training.toy_stage", str(out), str(STEPS), str(kill_at), mode]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode


def test_killed_run_resumes_to_the_same_weights_and_the_same_curve(unbroken: Path, tmp_path: Path) -> None:
    assert run_toy_process(tmp_path, kill_at=9, mode="fresh") == -signal.SIGKILL
    assert not (tmp_path / "export").exists()
    assert run_toy_process(tmp_path, kill_at=-1, mode="resume") == 0
    assert losses(tmp_path) == losses(unbroken)
    assert len(losses(tmp_path)) == STEPS
    for name, tensor in exported(unbroken).items():
        assert torch.equal(tensor, exported(tmp_path)[name]), name


def test_loss_falls_and_the_report_says_how_far(tmp_path: Path) -> None:
    report = run(ToyStage(), toy_config(60), tmp_path, title="toy")
    curve = [loss for _, loss in losses(tmp_path)]
    assert sum(curve[-5:]) < 0.5 * sum(curve[:5])
    assert report.finished
    assert report.units == 60 * 2 * 16
    page = (tmp_path / "report.md").read_text()
    assert "60 steps" in page
    assert f"{report.figures['loss']:.6g}" in page
    assert (tmp_path / "curves.png").stat().st_size > 1_000
    assert list((tmp_path / "tensorboard").iterdir())


def test_frozen_weights_stay_the_same_to_the_bit(unbroken: Path) -> None:
    fresh = ToyStage().network
    after = exported(unbroken)
    assert torch.equal(after["frozen.weight"], fresh.frozen.weight)
    assert torch.equal(after["frozen.bias"], fresh.frozen.bias)
    assert not torch.equal(after["hidden.weight"], fresh.hidden.weight)


def test_accumulating_micro_batches_equals_one_larger_batch(tmp_path: Path) -> None:
    class Halves(ToyStage):
        """Batches of 16 rows as they are, or in unequal parts of 4 and 12."""

        def __init__(self, parts: tuple[int, ...]) -> None:
            super().__init__()
            self.parts = parts
            self.network.eval()  # no dropout, and a batch norm that does not see the split

        def batch(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            whole, part = divmod(index, len(self.parts))
            first = sum(self.parts[:part])
            x, y = super().batch(whole)
            return x[first : first + self.parts[part]], y[first : first + self.parts[part]]

    one, two = Halves((16,)), Halves((4, 12))
    config = replace(toy_config(6), ema_decay=None)
    run(one, replace(config, micro_batches=1), tmp_path / "one")
    run(two, replace(config, micro_batches=2), tmp_path / "two")
    for (name, a), b in zip(one.network.named_parameters(), two.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)
    for (_, a), (_, b) in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_directory_of_another_run_is_refused(unbroken: Path) -> None:
    with pytest.raises(FileExistsError, match="resume it"):
        run(ToyStage(), toy_config(STEPS), unbroken)


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        run(ToyStage(), toy_config(STEPS), tmp_path, resume=True)


def test_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    class Broken(ToyStage):
        def batch(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            x, y = super().batch(index)
            return x, y / (0.0 if index == 7 else 1.0)

    with pytest.raises(FloatingPointError, match="step 3"):
        run(Broken(), toy_config(STEPS), tmp_path)


def test_asked_to_stop_it_saves_and_goes_on_later_to_the_same_weights(unbroken: Path, tmp_path: Path) -> None:
    class Interrupted(ToyStage):
        def batch(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            if index == 12:
                os.kill(os.getpid(), signal.SIGINT)
            return super().batch(index)

    report = run(Interrupted(), toy_config(STEPS), tmp_path)
    assert not report.finished
    assert report.steps == 7
    assert not (tmp_path / "export").exists()
    assert run(ToyStage(), toy_config(STEPS), tmp_path, resume=True).finished
    assert all(torch.equal(tensor, exported(tmp_path)[name]) for name, tensor in exported(unbroken).items())


def test_last_two_checkpoints_and_the_best_stay(tmp_path: Path) -> None:
    class Worsening(ToyStage):
        def evaluate(self) -> dict[str, float]:
            self.calls = getattr(self, "calls", 0) + 1
            return {"loss": float(self.calls)}

    report = run(Worsening(), toy_config(20), tmp_path)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-00000005", "step-00000016", "step-00000020"]
    assert report.best_step == 5
    state = json.loads((tmp_path / "checkpoints" / "step-00000020" / "state.json").read_text())
    assert state["best_value"] == 1.0


def test_every_phase_updates_its_own_weights_only(tmp_path: Path) -> None:
    class TwoPhases(ToyStage):
        """The second phase's loss runs through the first network too, and must not move it."""

        def __init__(self) -> None:
            super().__init__()
            self.judge = torch.nn.Linear(1, 1)
            self.seen: list[tuple[str, bool, bool]] = []

        @property
        def networks(self) -> dict[str, torch.nn.Module]:
            return {"make": self.network, "judge": self.judge}

        def loss(self, phase, batch, step):
            self.seen.append((phase, self.network.out.weight.requires_grad, self.judge.weight.requires_grad))
            loss = super().loss(phase, batch, step)
            return replace(loss, total=loss.total + self.judge(self.network(batch[0])[:, None]).square().mean())

    stage = TwoPhases()
    run(stage, replace(toy_config(2), micro_batches=1), tmp_path)
    assert stage.seen == [("make", True, False), ("judge", False, True)] * 2
    assert "make/loss" in read_lines(tmp_path / "metrics.jsonl")[0]


@pytest.mark.parametrize(("supported", "bf16"), [(True, True), (False, True), (False, False)])
def test_a_processor_without_bfloat16_is_told_what_is_faster(tmp_path, capsys, monkeypatch, supported, bf16):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    run(ToyStage(), replace(toy_config(1), bf16=bf16), tmp_path)
    said = capsys.readouterr()
    assert ("--loop.no-bf16" in said.out + said.err) == (bf16 and not supported)
