"""Who speaks the lines: voices by name, over the data engine's speech engines, as samples at 24 kHz with word times.

A voice is named `engine/voice`. `ToneEngine` is a stand-in that says it is one: tones as long as the words would take,
for tests and for trying the recipe where no engine is installed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from model.training.data.clip import CLIP_RATE_HZ, Word
from model.training.data.engines.catalog import CATALOG, EngineName
from model.training.data.engines.engine import Speech, SpeechEngine
from model.training.data.held_out import held_out_reason
from model.training.data.level import LEVEL_DB, levelled
from streams.types import Samples

TONES = "tones"
_TONE_HZ: Mapping[str, float] = {"low": 110.0, "middle": 165.0, "high": 235.0, "bright": 330.0}
_QUIET = 0.004  # samples below this at a line's ends are the engine's pauses, not speech


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """A line as sound, without pauses at its ends, at `data.level.LEVEL_DB`. One word for each word of the text."""

    pcm: Samples
    words: tuple[Word, ...]

    @property
    def duration_us(self) -> int:
        return len(self.pcm) * 1_000_000 // CLIP_RATE_HZ


class Cast:
    """Engines by name. Loads each when it first speaks; `assets` holds the packages that some of them need."""

    def __init__(self, assets: Path = Path("assets")) -> None:
        self._assets = assets
        self._engines: dict[str, SpeechEngine] = {TONES: ToneEngine()}

    def say(self, text: str, voice: str, seed: int) -> Spoken:
        """Raises ValueError for an engine or voice that is unknown."""
        engine, _, name = voice.partition("/")
        speech = self._engine(engine).speak(text, name, seed)
        pcm = speech.pcm.astype(np.float32)
        if speech.rate_hz != CLIP_RATE_HZ:
            pcm = soxr.resample(pcm, speech.rate_hz, CLIP_RATE_HZ, "VHQ")
        return _trimmed(levelled(pcm), text, speech.words)

    def _engine(self, name: str) -> SpeechEngine:
        if name not in self._engines:
            self._engines[name] = CATALOG[EngineName(name)].load(self._assets)
        return self._engines[name]


def training_voices(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same, checked: raises ValueError for a voice that is held out of training or unknown."""
    for voice in names:
        engine, _, name = voice.partition("/")
        reason = held_out_reason(engine, name)
        if reason is not None:
            raise ValueError(f"the voice {voice!r} is held out of training: {reason}")
        check_voices((voice,))
    return names


def check_voices(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same; raises ValueError for a voice that no engine has."""
    known = {TONES: tuple(_TONE_HZ)} | {str(name): entry.voices for name, entry in CATALOG.items()}
    for voice in names:
        engine, _, name = voice.partition("/")
        if name not in known.get(engine, ()):
            raise ValueError(f"no voice {voice!r}; engines and their voices are {known}")
    return names


def _trimmed(pcm: Samples, text: str, words: tuple[Word, ...]) -> Spoken:
    loud = np.flatnonzero(np.abs(pcm) > _QUIET)
    first, end = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(pcm))
    pcm = pcm[first:end]
    duration_us, shift_us = len(pcm) * 1_000_000 // CLIP_RATE_HZ, first * 1_000_000 // CLIP_RATE_HZ
    if len(words) != len(text.split()):
        return Spoken(pcm, even_words(text, duration_us))

    def moved(time_us: int) -> int:
        return min(max(time_us - shift_us, 0), duration_us)

    return Spoken(pcm, tuple(Word(moved(word.start_us), moved(word.end_us), word.text) for word in words))


def even_words(text: str, duration_us: int) -> tuple[Word, ...]:
    """Words spread over a duration by their lengths, where no times are known."""
    words = text.split()
    ends = np.cumsum([len(word) + 1 for word in words])
    edges_us = [0, *(int(end * duration_us / ends[-1]) for end in ends)]
    return tuple(Word(edges_us[i], edges_us[i + 1], word) for i, word in enumerate(words))


class ToneEngine:
    """Not speech: one tone a word, 70 ms a letter, at the voice's pitch. Its level is that of speech."""

    def speak(self, text: str, voice: str, seed: int) -> Speech:
        if voice not in _TONE_HZ:
            raise ValueError(f"tones come as {tuple(_TONE_HZ)}, not as {voice!r}")
        pitch_hz = _TONE_HZ[voice] * float(np.random.default_rng(seed).uniform(0.97, 1.03))
        pieces: list[Samples] = []
        words: list[Word] = []
        at = 0
        for word in text.split():
            length = CLIP_RATE_HZ * 7 // 100 * min(len(word), 8)
            phase = 2 * np.pi * pitch_hz * (1 + 0.1 * (len(word) % 3)) * np.arange(length) / CLIP_RATE_HZ
            tone = (np.sin(phase) + 0.4 * np.sin(2 * phase)) * np.hanning(length) ** 0.25
            pause = np.zeros(CLIP_RATE_HZ // 25)
            pieces += [tone.astype(np.float32), pause.astype(np.float32)]
            words.append(Word(at * 1_000_000 // CLIP_RATE_HZ, (at + length) * 1_000_000 // CLIP_RATE_HZ, word))
            at += length + len(pause)
        return Speech(np.concatenate(pieces) * np.float32(10 ** (LEVEL_DB / 20)), CLIP_RATE_HZ, tuple(words))
