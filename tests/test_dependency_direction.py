"""Who may import whom. Reads every import statement, those inside functions too, and runs nothing.

run_server.py knows everyone; realtime/ never sees torch or model/; model/ never sees realtime/; streams/ stands alone;
the clients meet us on the wire only; nobody imports the training recipe. Of that, `evaluation/` alone drives the
runtime: it asks the whole agent through the session that clients talk to.
"""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"streams", "realtime", "model", "run_server", "omniweave_client"}
STREAMS_MAY_IMPORT = {"streams", "numpy", "soxr", "cv2"}
EVALUATION = ROOT / "model" / "training" / "evaluation"
NO_TORCH = {"torch", "safetensors", "tokenizers", "sentencepiece"}


def imports_of(path: Path) -> set[str]:
    """Dotted names of everything a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names.add(node.module or "")
    return names


def files_in(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"nothing found in {folder}"
    return files


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


@pytest.mark.parametrize("path", files_in("streams"), ids=str)
def test_streams_stand_alone(path: Path):
    assert packages(path) - STREAMS_MAY_IMPORT - sys.stdlib_module_names == set()


@pytest.mark.parametrize("path", files_in("realtime"), ids=str)
def test_the_runtime_knows_neither_torch_nor_the_model(path: Path):
    assert packages(path) & {"model", "run_server", "omniweave_client", *NO_TORCH} == set()


@pytest.mark.parametrize("path", [p for p in files_in("model") if "training" not in p.parts], ids=str)
def test_the_model_knows_neither_the_runtime_nor_its_training(path: Path):
    assert packages(path) & {"realtime", "run_server", "omniweave_client"} == set()
    assert not {name for name in imports_of(path) if name.startswith("model.training")}


@pytest.mark.parametrize("path", [p for p in files_in("model/training") if p.parent != EVALUATION], ids=str)
def test_training_sees_recordings_and_nothing_else_of_the_runtime(path: Path):
    from_runtime = {name for name in imports_of(path) if name.partition(".")[0] == "realtime"}
    assert all(name.startswith("realtime.recording.") for name in from_runtime), from_runtime


@pytest.mark.parametrize("path", files_in("model/training"), ids=str)
def test_what_drives_sessions_is_imported_by_its_command_alone(path: Path):
    from_evaluation = {name for name in imports_of(path) if name.startswith("model.training.evaluation")}
    assert not from_evaluation or path.parent == EVALUATION or path.name == "evaluate.py", from_evaluation
    assert packages(path) & {"run_server", "omniweave_client"} == set()


@pytest.mark.parametrize("path", files_in("clients/python"), ids=str)
def test_the_client_imports_nothing_of_the_server(path: Path):
    assert packages(path) & (OURS - {"omniweave_client"}) == set()


@pytest.mark.parametrize(
    "path",
    [p for folder in ("streams", "realtime", "model") for p in files_in(folder) if p.name == "__init__.py"],
    ids=str,
)
def test_a_package_file_holds_a_docstring_only(path: Path):
    (docstring,) = ast.parse(path.read_text()).body
    assert isinstance(docstring, ast.Expr)
