"""espeak-ng (GPL-3, run as a program): robotic, in many accents; it teaches that speech is not one kind of sound.

A voice is an accent and a variant: `en-us+f3`. Gives no word times.
"""

import numpy as np

from model.training.data.engines.engine import Speech
from model.training.data.engines.program import find_program, speak_to_file

VOICES = (
    "en-us",
    "en-us+f3",
    "en-us+m7",
    "en-gb+f2",
    "en-gb+m3",
    "en-gb-x-rp+f5",
    "en-gb-scotland",
    "en-gb-x-gbclan+m1",
    "en-029+f4",
    "en-us-nyc+m4",
)

_WORDS_PER_MINUTE = (145, 195)
_PITCH = (35, 65)


class EspeakEngine:
    """Runs the program for each sentence, at a pace and pitch of its own."""

    def __init__(self) -> None:
        self._program = find_program("espeak-ng")

    def speak(self, text: str, voice: str, seed: int) -> Speech:
        if voice not in VOICES:
            raise ValueError(f"espeak-ng is used with the voices {VOICES}, not {voice!r}")
        random = np.random.default_rng(seed)
        pace, pitch = str(random.integers(*_WORDS_PER_MINUTE)), str(random.integers(*_PITCH))
        command = [self._program, "-v", voice, "-s", pace, "-p", pitch, f" {text}"]
        pcm, rate_hz, _ = speak_to_file(command, "-w")
        return Speech(pcm, rate_hz)
