"""Sounds for tests of calls, and what of them arrived."""

import numpy as np

from streams.types import SAMPLE_RATE_HZ, Samples


def tone(frequency_hz: float, duration_ms: int, rate_hz: int = SAMPLE_RATE_HZ, level: float = 0.3) -> Samples:
    time_s = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    return (level * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def rms(pcm: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64)))) if len(pcm) else 0.0


def energy_at(pcm: Samples, frequency_hz: float, rate_hz: int = SAMPLE_RATE_HZ) -> float:
    """The share of a sound's energy within 5 % (but at least 60 Hz) of a frequency."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2
    frequencies = np.fft.rfftfreq(len(pcm), 1 / rate_hz)
    near = np.abs(frequencies - frequency_hz) <= max(0.05 * frequency_hz, 60, 2 * rate_hz / len(pcm))
    total = float(spectrum.sum())
    return float(spectrum[near].sum()) / total if total > 0 else 0.0
