"""Noise from nothing: `noise(kind, num_samples, random)` → float32 at the clip rate, around -23 dB, never beyond 1.

Coloured noise has a power spectrum of f^-a (white 0, pink 1, brown 2). Hum is a mains frequency with harmonics. Taps
are short bursts of filtered noise as coughs, keys and doors make. Music is chords of decaying partials in a key.
Babble is not made from nothing: `babble` mixes voices that the caller has.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from model.training.data.clip import CLIP_RATE_HZ
from model.training.data.level import levelled

Random = np.random.Generator


class NoiseKind(StrEnum):
    """What `noise` can make."""

    WHITE = "white"
    PINK = "pink"
    BROWN = "brown"
    HUM = "hum"
    TAPS = "taps"
    MUSIC = "music"


def noise(kind: NoiseKind, num_samples: int, random: Random) -> NDArray[np.float32]:
    """Noise of a kind, at the level of clips."""
    if num_samples < 1:
        raise ValueError(f"noise has at least one sample, not {num_samples}")
    return levelled(_MAKERS[kind](num_samples, random).astype(np.float32))


def babble(voices: Sequence[NDArray[np.float32]], num_samples: int, random: Random) -> NDArray[np.float32]:
    """The voices at once, each repeated from a place of its own and at a distance of its own."""
    if not voices or any(len(voice) == 0 for voice in voices):
        raise ValueError("babble needs at least one voice, and none of them empty")
    mixed = np.zeros(num_samples, np.float64)
    for voice in voices:
        start = int(random.integers(len(voice)))
        mixed += np.take(voice, np.arange(start, start + num_samples), mode="wrap") * random.uniform(0.4, 1.0)
    return levelled(mixed.astype(np.float32))


def _coloured(exponent: float) -> Callable[[int, Random], NDArray[np.float64]]:
    """Gaussian noise whose power falls as f^-exponent above 20 Hz."""

    def make(num_samples: int, random: Random) -> NDArray[np.float64]:
        frequencies_hz = np.fft.rfftfreq(num_samples, 1 / CLIP_RATE_HZ)
        phases = random.standard_normal(len(frequencies_hz)) + 1j * random.standard_normal(len(frequencies_hz))
        return np.fft.irfft(phases * np.maximum(frequencies_hz, 20.0) ** (-exponent / 2), num_samples)

    return make


def _hum(num_samples: int, random: Random) -> NDArray[np.float64]:
    time_s = np.arange(num_samples) / CLIP_RATE_HZ
    mains_hz = random.choice([50.0, 60.0]) * random.uniform(0.998, 1.002)
    wave = np.zeros(num_samples)
    for harmonic in range(1, 13):
        strength = random.uniform(0.2, 1.0) / harmonic
        wave += strength * np.sin(2 * np.pi * harmonic * mains_hz * time_s + random.uniform(0, 2 * np.pi))
    return wave


def _taps(num_samples: int, random: Random) -> NDArray[np.float64]:
    """About one burst a second, each with its own colour, length and strength."""
    wave = np.zeros(num_samples)
    for _ in range(1 + random.poisson(num_samples / CLIP_RATE_HZ)):
        length = int(random.uniform(0.01, 0.35) * CLIP_RATE_HZ)
        burst = _coloured(random.uniform(0.0, 2.0))(length, random)
        burst *= np.exp(-np.arange(length) / (length * random.uniform(0.1, 0.4))) / np.abs(burst).max()
        start = int(random.integers(num_samples))
        wave[start : start + length] += random.uniform(0.2, 1.0) * burst[: num_samples - start]
    return wave


def _music(num_samples: int, random: Random) -> NDArray[np.float64]:
    """Chords of a major or minor key, one each beat, on an instrument of decaying partials."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if random.random() < 0.5 else [0, 2, 3, 5, 7, 8, 10])
    root_hz = 110.0 * 2 ** (random.integers(12) / 12)
    beat = int(CLIP_RATE_HZ * 60 / random.uniform(60, 150))
    partials = random.uniform(0.1, 1.0, 6) / np.arange(1, 7)
    decay_s = random.uniform(0.15, 0.8)
    wave = np.zeros(num_samples)
    for start in range(0, num_samples, beat):
        length = min(2 * beat, num_samples - start)
        time_s = np.arange(length) / CLIP_RATE_HZ
        degree = int(random.integers(7))
        for step in (0, 2, 4):
            octave, note = divmod(degree + step, 7)
            hz = root_hz * 2 ** (octave + scale[note] / 12)
            for number, strength in enumerate(partials, 1):
                wave[start : start + length] += (
                    strength * np.sin(2 * np.pi * hz * number * time_s) * np.exp(-time_s * number**0.5 / decay_s)
                )
    return wave


_MAKERS: dict[NoiseKind, Callable[[int, Random], NDArray[np.float64]]] = {
    NoiseKind.WHITE: _coloured(0.0),
    NoiseKind.PINK: _coloured(1.0),
    NoiseKind.BROWN: _coloured(2.0),
    NoiseKind.HUM: _hum,
    NoiseKind.TAPS: _taps,
    NoiseKind.MUSIC: _music,
}
