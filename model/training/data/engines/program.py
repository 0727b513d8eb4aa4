"""Engines that are programs: run once per sentence, in a process of their own, with the text as an argument."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.training.data.missing import MissingPackage

_TIMEOUT_S = 60.0  # these engines need milliseconds; one that hangs must not stop a build unnoticed


def find_program(name: str) -> str:
    """The program's path, or how to get it."""
    path = shutil.which(name)
    if path is None:
        raise MissingPackage(f"the program {name} is missing: apt-get install {name}")
    return path


def run_program(command: Sequence[str]) -> str:
    """What the program printed. A failure raises with what it printed as errors."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def speak_to_file(command: Sequence[str], output_flag: str) -> tuple[NDArray[np.float32], int, str]:
    """Samples and rate of the WAV file that the program writes, and what it printed."""
    with tempfile.TemporaryDirectory(prefix="speech-") as directory:
        path = Path(directory) / "speech.wav"
        printed = run_program([*command, output_flag, str(path)])
        pcm, rate_hz = soundfile.read(path, dtype="float32")
    return pcm, rate_hz, printed
