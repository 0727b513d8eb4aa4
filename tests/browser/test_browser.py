"""The page and the stock JavaScript client in a real Chromium, run by node against `run_server.py --engine echo`.

Run on request: `pytest -m browser`. They speak and listen in real time. Sound of a wrong shape does not count where the
machine was measured not to keep up, which is printed. A file that fails is run once more, which is printed too.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "clients" / "browser"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
TIMEOUT_S = 900  # on a busy machine

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium, or name one in $CHROMIUM"),
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (CLIENT / "node_modules").is_dir(), reason="playwright is not installed: npm ci --prefix clients/browser"
    ),
]


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.name.removesuffix(".test.mjs"))
def test_in_chromium(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "CHROMIUM": str(CHROMIUM), "OMP_NUM_THREADS": "1"}
    for attempt in ("the first time", "again"):
        done = run(path, environment)
        with capsys.disabled():
            print(*(f"\n{path.name}: {line}" for line in excuses(done.stdout)))
        if done.returncode == 0:
            return
        report = done.stdout[-20_000:] + done.stderr[-4_000:] + f"\nnode ended with {done.returncode}"
        with capsys.disabled():
            print(f"\n{path.name} failed {attempt}:\n{report}")
    raise AssertionError(report)


def run(path: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["node", "--test", "--test-reporter=spec", str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def excuses(output: str) -> list[str]:
    """What did not count because the machine was late."""
    return [line.strip() for line in output.splitlines() if line.rstrip().endswith("it does not count")]
