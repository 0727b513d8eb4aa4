import signal
import sys
import types
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from model.training import registry, train
from model.training.config import LoopConfig, Schedule
from model.training.registry import CONFIGS, Setup, config_of, summary_of
from tests.model.training.toy_stage import ToyStage, toy_config


@dataclass(frozen=True)
class ToyConfig:
    """Options of the toy."""

    rows: int = 16
    loop: LoopConfig = field(default_factory=lambda: replace(toy_config(6), schedule=Schedule.CONSTANT))

    def build(self, setup: Setup) -> ToyStage:
        if not setup.data.is_dir():
            raise FileNotFoundError(f"no data in {setup.data}")
        return ToyStage(self.rows)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("toy")
    module.ToyConfig = ToyConfig
    monkeypatch.setitem(sys.modules, f"{registry.PACKAGE}.toy", module)
    monkeypatch.setitem(CONFIGS, "toy", "ToyConfig")
    monkeypatch.setattr(train, "summary_of", lambda name: "A toy.")


@pytest.mark.parametrize("name", list(CONFIGS))
def test_every_stage_has_a_line_and_options(name: str) -> None:
    assert summary_of(name).endswith(".")
    assert hasattr(config_of(name), "build")


@pytest.mark.usefixtures("toy")
def test_options_reach_the_stage_and_the_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["toy", "--data", str(tmp_path), "--out", str(out), "--rows", "4", "--loop.steps", "3"]
    assert train.main([*arguments, "--loop.schedule", "cosine", "--loop.ema-decay", "None"]) == 0
    assert "Done" in capsys.readouterr().out
    page = (out / "report.md").read_text()
    assert "toy tiny" in page
    assert "3 steps" in page
    assert "24 rows" in page  # 3 steps of 2 micro-batches of 4
    assert "COSINE" in page
    assert "ema_decay=None" in page


@pytest.mark.usefixtures("toy")
def test_interrupted_run_prints_the_command_that_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyStage, "batch", interrupting(ToyStage.batch, at=6))
    arguments = ["toy", "--data", str(tmp_path), "--out", str(tmp_path / "out dir")]
    assert train.main(arguments) == 130
    printed = capsys.readouterr().out
    assert "Stopped after 4 steps" in printed
    assert f"train toy --data {tmp_path} --out '{tmp_path}/out dir' --resume" in printed
    monkeypatch.undo()


def interrupting(batch, at: int):
    def ask(self, index):
        if index == at:
            signal.raise_signal(signal.SIGINT)
        return batch(self, index)

    return ask


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "/nowhere"], "no data in /nowhere"),
        (["--preset", "huge"], "no preset 'huge'; there are tiny"),
        (["--data", ".", "--resume", "--out", "/nowhere"], "nothing to resume"),
        (["--parallel.fsdp", "2"], "needs 2 processes, but 1 were started"),
    ],
)
def test_run_that_cannot_start_says_why_in_a_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(["toy", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("toy")
def test_wrong_number_on_the_command_line_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["toy", "--loop.steps", "many"])
    assert "loop.steps" in capsys.readouterr().err


def test_list_names_stages_without_importing_them(capsys: pytest.CaptureFixture[str]) -> None:
    for name in CONFIGS:
        sys.modules.pop(f"{registry.PACKAGE}.{name}", None)
    assert train.main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in CONFIGS)
    assert not [name for name in CONFIGS if f"{registry.PACKAGE}.{name}" in sys.modules]


def test_unknown_stage_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["nonsense"]) == 2
    assert "no stage 'nonsense'" in capsys.readouterr().err
