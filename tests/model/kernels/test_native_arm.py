"""The NEON path against the portable one, on an emulated Arm processor. Speed cannot be seen this way, bits can."""

import shutil
import subprocess
from pathlib import Path

import pytest

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"
NATIVE = Path(__file__).resolve().parents[3] / "model" / "kernels" / "native"
FLAGS = ["-std=c++17", "-O1", "-ffp-contract=off", "-pthread", "-static", "-I", str(NATIVE)]


@pytest.mark.skipif(
    not (shutil.which(COMPILER) and shutil.which(EMULATOR)),
    reason="needs a compiler for Arm and an emulator: apt-get install g++-aarch64-linux-gnu qemu-user-static",
)
def test_neon_path_gives_the_bits_of_the_portable_path(tmp_path: Path) -> None:
    sources = [*NATIVE.glob("*.cpp"), Path(__file__).with_name("paths_agree.cpp")]
    program = tmp_path / "paths_agree"
    flags = [*FLAGS, "-march=armv8.2-a+dotprod"]
    subprocess.run([COMPILER, *flags, *map(str, sources), "-o", str(program)], check=True, timeout=300)

    run = subprocess.run([EMULATOR, "-cpu", "max", str(program)], capture_output=True, text=True, timeout=120)

    assert "path 4: ran" in run.stdout
    assert run.returncode == 0, run.stdout
