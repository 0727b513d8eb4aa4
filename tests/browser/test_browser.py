"""The page and the stock JavaScript client in a real Chromium, run by node against `run_server.py --engine echo`.

Run on request: `pytest -m browser`. They speak and listen in real time, so they need a machine that keeps up.
Two files run at a time: they mostly wait for somebody to finish speaking.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "clients" / "browser"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FILES = sorted(HERE.glob("*.test.mjs"), key=lambda path: path.stat().st_size, reverse=True)  # long ones take long
AT_A_TIME = 2
TIMEOUT_S = 300

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium, or name one in $CHROMIUM"),
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (CLIENT / "node_modules").is_dir(), reason="playwright is not installed: npm ci --prefix clients/browser"
    ),
]


def run(path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, "CHROMIUM": str(CHROMIUM), "OMP_NUM_THREADS": "1"}
    command = ["node", "--test", "--test-reporter=spec", str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[Path, "Future[subprocess.CompletedProcess[str]]"]]:
    """The files that were chosen, each on its way."""
    chosen = {item.callspec.params["path"] for item in request.session.items if item.path == Path(__file__)}
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {path: pool.submit(run, path) for path in FILES if path in chosen}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".test.mjs"))
def test_in_chromium(path: Path, runs: dict[Path, "Future[subprocess.CompletedProcess[str]]"]) -> None:
    done = runs[path].result()
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-4_000:]
