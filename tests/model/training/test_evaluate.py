"""The command, end to end, on weights that know nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.checkpoint import Description, save_checkpoint
from model.network import Network
from model.presets import tiny
from model.training.evaluate import Arguments, main
from model.training.evaluation import restraint
from model.training.evaluation.bench import Bench
from model.training.evaluation.chat import Questions, text_losses
from model.training.evaluation.drawing_reader import DrawingReader, save_drawing_reader
from model.training.evaluation.examining import Patience
from model.training.evaluation.suite import Measure
from tests.model.tiny_weights import save_tiny_weights

TEXT = Path(__file__).parents[2] / "fixtures" / "heldout.txt"


@pytest.fixture(scope="module")
def able_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the smallest model that claims everything."""
    config = tiny()
    network = Network(config)
    network.init(seed=3)
    directory = tmp_path_factory.mktemp("able")
    description = Description(json.loads(json.dumps(config.to_json())), 3, (), "for tests")
    save_checkpoint(directory, description, network.state_dict())
    return directory


@pytest.fixture(scope="module")
def text_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_weights(tmp_path_factory.mktemp("text"))


@pytest.fixture
def arguments(tmp_path: Path) -> Arguments:
    text = tmp_path / "text.txt"
    text.write_text("The quick fox sleeps. " * 8)
    reader = tmp_path / "reader.safetensors"
    save_drawing_reader(DrawingReader(), reader)
    return Arguments(
        out=tmp_path / "out",
        count=1,
        minutes=0.2,
        voices=("tones/middle",),
        data=tmp_path,
        reader=reader,
        text=text,
        threads=1,
        patience=Patience(begin=3, drawing=2, longest=6, silence=2),
    )


def rows_of(arguments: Arguments) -> dict[str, dict]:
    figures = json.loads((arguments.out / "figures.json").read_text())
    return {row["name"]: row for row in figures["rows"]}


def test_everything_is_measured_of_weights_that_claim_everything(arguments, able_weights, capsys, monkeypatch):
    monkeypatch.setattr(restraint, "STRETCH_TICKS", 8)
    monkeypatch.setattr(restraint, "TRIES", 1)
    arguments = replace(arguments, weights=able_weights, backend="dequantized", time=True, reference=able_weights)
    assert main(arguments) == 0
    rows = rows_of(arguments)
    assert not [name for name, row in rows.items() if "cannot" in row["remark"]]
    not_measured = {name for name, row in rows.items() if row["figure"] is None}
    assert not_measured <= {
        "recorded request by people, right answer",
        "transcription WER, people",
        "speech against its own text, WER by the judge",
        "ticks of agent speech while the user speaks",  # where it makes no sound
        "stops within two ticks of an interruption",
        "false starts per minute of noise or echo",
        "loss of right answers from start to end of 0.2 minutes",  # nor is right at the start
        "typed chat: fixed questions right / reference",  # of which nothing was right
    }
    assert rows["typed chat: perplexity on the fixed text / reference"]["figure"] == 1.0
    page = (arguments.out / "evaluation.md").read_text()
    assert all(name in page for name in rows)
    assert page.splitlines()[2] in capsys.readouterr().out
    exams = [json.loads(line) for line in (arguments.out / "exams.jsonl").read_text().splitlines()]
    assert {"spoken request, right action or answer", "typed chat: fixed questions right"} <= {
        e["measure"] for e in exams
    }


def test_text_weights_are_asked_by_typing_and_cannot_do_the_rest(arguments, text_weights):
    arguments = replace(arguments, weights=text_weights)
    assert main(arguments) == 0
    rows = rows_of(arguments)
    assert rows["typed request, right action or answer"]["count"] == 1
    assert rows["typed chat: perplexity on the fixed text, weights dequantized"]["figure"] > 1
    missed = [row for name, row in rows.items() if name.startswith(("seen", "drawn", "spoken"))]
    assert len(missed) == 5
    assert all("cannot" in row["remark"] and row["verdict"] == "missed" for row in missed)


def test_only_what_is_asked_for_is_measured(arguments, text_weights):
    arguments = replace(arguments, weights=text_weights, only=(Measure.TYPED,))
    assert main(arguments) == 0
    assert [name for name in rows_of(arguments) if not name.startswith("floor")] == [
        "typed request, right action or answer"
    ]


def test_who_stops_early_keeps_what_was_measured(arguments, text_weights, monkeypatch, capsys):
    def interrupted(self: Questions) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Questions, "run", interrupted)
    arguments = replace(arguments, weights=text_weights, only=(Measure.TYPED, Measure.CHAT))
    assert main(arguments) == 0
    rows = rows_of(arguments)
    assert rows["typed request, right action or answer"]["figure"] is not None
    assert rows["typed chat: fixed questions right"]["figure"] is None
    assert "stopped" in capsys.readouterr().err
    assert json.loads((arguments.out / "figures.json").read_text())["ending"] == "stopped"


def test_an_error_in_the_middle_costs_nothing_that_was_measured(arguments, text_weights, monkeypatch, capsys):
    def failing(self: Questions) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Questions, "run", failing)
    arguments = replace(arguments, weights=text_weights, only=(Measure.TYPED, Measure.CHAT))
    assert main(arguments) == 1
    assert rows_of(arguments)["typed request, right action or answer"]["figure"] is not None
    assert "the disk is full" in capsys.readouterr().err


def test_an_error_of_ours_costs_nothing_that_was_measured_either(arguments, text_weights, monkeypatch):
    def failing(self: Questions) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Questions, "run", failing)
    arguments = replace(arguments, weights=text_weights, only=(Measure.TYPED, Measure.CHAT))
    with pytest.raises(ZeroDivisionError):
        main(arguments)
    assert rows_of(arguments)["typed request, right action or answer"]["figure"] is not None
    assert json.loads((arguments.out / "figures.json").read_text())["ending"] == "failed"


def test_each_measurement_is_written_down_before_the_next(arguments, text_weights, monkeypatch):
    seen = []
    monkeypatch.setattr(Questions, "run", lambda self: seen.append(rows_of(arguments)))
    assert main(replace(arguments, weights=text_weights, only=(Measure.TYPED, Measure.CHAT))) == 0
    assert seen[0]["typed request, right action or answer"]["figure"] is not None
    assert json.loads((arguments.out / "figures.json").read_text())["ending"] == "finished"


@pytest.mark.parametrize("name", ["reader", "people"])
def test_a_broken_file_is_told_before_anything_is_measured(arguments, text_weights, name, tmp_path, capsys):
    broken = tmp_path / "broken"
    if name == "reader":
        broken.write_bytes(b"nothing of the kind")
    else:
        broken.mkdir()
        (broken / "a.wav").write_bytes(b"no sound")
        (broken / "requests.jsonl").write_text('{"sound": "a.wav", "text": "What day?", "keys": ["Friday"]}')
    assert main(replace(arguments, weights=text_weights, **{name: broken})) == 1
    assert "broken" in capsys.readouterr().err
    assert not (arguments.out / "figures.json").exists()


def test_a_series_that_is_cut_off_counts_what_was_held(arguments, text_weights, monkeypatch):
    examine, held = Bench.examine, []

    def once(self: Bench, *rest):
        if held:
            raise KeyboardInterrupt
        held.append(rest)
        return examine(self, *rest)

    monkeypatch.setattr(Bench, "examine", once)
    arguments = replace(arguments, weights=text_weights, only=(Measure.TYPED,), count=3)
    assert main(arguments) == 0
    assert rows_of(arguments)["typed request, right action or answer"]["count"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": Path("nowhere")}, "nowhere"),
        ({"count": 0}, "--count"),
        ({"only": (Measure.COMPUTE,)}, "--time"),
        ({"emoji": Path("nowhere")}, "nowhere"),
        ({"text": Path("nowhere"), "only": (Measure.CHAT,)}, "nowhere"),
        ({"judge": Path("nowhere")}, "nowhere"),
        ({"people": Path("nowhere")}, "nowhere"),
        ({"reference": Path("nowhere")}, "nowhere"),
    ],
)
def test_what_cannot_be_measured_as_asked_is_said_in_a_line(arguments, text_weights, changes, message, capsys):
    assert main(replace(arguments, **{"weights": text_weights, **changes})) == 1
    error = capsys.readouterr().err
    assert error.startswith("evaluate: ")
    assert message in error


def test_perplexity_is_over_every_token(text_weights):
    text = "The door is open."
    parts = list(text_losses(text_weights, text))
    assert sum(tokens for _, tokens in parts) == len(text.encode())  # bytes, after the id that begins a document
    assert all(nats > 0 for nats, _ in parts)


def test_the_fixed_text_is_there():
    assert TEXT.is_file()
    assert Arguments(out=Path("out")).text == TEXT
