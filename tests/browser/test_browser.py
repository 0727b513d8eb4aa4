"""The page and the stock JavaScript client in a real Chromium, run by node against `run_server.py --engine echo`.

Run on request: `pytest -m browser`. They speak and listen in real time, so they need a machine that keeps up.
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
TIMEOUT_S = 300

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium, or name one in $CHROMIUM"),
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (CLIENT / "node_modules").is_dir(), reason="playwright is not installed: npm ci --prefix clients/browser"
    ),
]


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.name.removesuffix(".test.mjs"))
def test_in_chromium(path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "CHROMIUM": str(CHROMIUM), "OMP_NUM_THREADS": "1"}
    command = ["node", "--test", "--test-reporter=spec", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-4_000:]
