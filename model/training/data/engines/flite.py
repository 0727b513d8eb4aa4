"""flite 2.2: small voices of Carnegie Mellon, at 16 kHz. Word times from its segments."""

from functools import cache

import numpy as np

from model.training.data.engines.engine import Speech
from model.training.data.engines.program import find_program, run_program, speak_to_file
from model.training.data.engines.word_times import TimedPhoneme, word_times

VOICES = ("slt", "rms", "awb", "kal16")

_PAUSE = "pau"
_FASTEST, _SLOWEST = 0.9, 1.15  # stretches of the voice's own durations


class FliteEngine:
    """Runs the program for each sentence."""

    def __init__(self) -> None:
        self._program = find_program("flite")

    def speak(self, text: str, voice: str, seed: int) -> Speech:
        if voice not in VOICES:
            raise ValueError(f"flite has no voice {voice!r}; it has {VOICES}")
        stretch = np.random.default_rng(seed).uniform(_FASTEST, _SLOWEST)
        command = [self._program, "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-t", f" {text}"]
        pcm, rate_hz, segments = speak_to_file([*command, "-psdur"], "-o")
        timed, start_us = [], 0
        for segment in segments.split():
            symbol, _, end_s = segment.rpartition(":")
            end_us = round(float(end_s) * 1_000_000)
            timed.append(TimedPhoneme(" " if symbol == _PAUSE else symbol, start_us, end_us))
            start_us = end_us
        words = [(word, _on_its_own(self._program, voice, word)) for word in text.split()]
        return Speech(pcm, rate_hz, word_times(words, timed))


@cache
def _on_its_own(program: str, voice: str, word: str) -> tuple[str, ...]:
    """The segments of a word spoken alone, without the pauses around it. All voices share one lexicon."""
    segments = run_program([program, "-voice", voice, "-t", f" {word}", "-ps", "-o", "none"]).split()
    return tuple(symbol for symbol in segments if symbol != _PAUSE)
