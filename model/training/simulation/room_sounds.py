"""Sounds of a room that are nobody's request: noise, hum, music, coughs, knocks, and the agent's echo."""

import numpy as np

from model.training.data.seeding import random_for
from model.training.simulation.script import SoundKind
from streams.types import SAMPLE_RATE_HZ, Samples

Random = np.random.Generator


def room_sound(kind: SoundKind, num_samples: int, level_db: float, seed: int) -> Samples:
    """A sound of this kind and length with this mean level."""
    random = random_for("room sound", kind, seed)
    match kind:
        case SoundKind.NOISE:
            sound = colored_noise(num_samples, random)
        case SoundKind.HUM:
            sound = _hum(num_samples, random)
        case SoundKind.MUSIC:
            sound = _music(num_samples, random)
        case SoundKind.COUGH:
            sound = _bursts(num_samples, random, every_s=0.35, decay_s=0.08)
        case SoundKind.KNOCKS:
            sound = _bursts(num_samples, random, every_s=0.22, decay_s=0.015)
    return at_level(_faded(sound), level_db)


def at_level(sound: Samples, level_db: float) -> Samples:
    """The same with this root mean square; silence stays silence."""
    power = float(np.mean(np.square(sound, dtype=np.float64))) if len(sound) else 0.0
    return sound * np.float32(10 ** (level_db / 20) / np.sqrt(power)) if power else sound


def colored_noise(num_samples: int, random: Random) -> Samples:
    """Noise whose power falls with frequency, between white (hiss) and brown (rumble)."""
    spectrum = np.fft.rfft(random.standard_normal(num_samples))
    frequency = np.maximum(np.arange(len(spectrum)), 20 * num_samples / SAMPLE_RATE_HZ)
    return np.fft.irfft(spectrum / frequency ** random.uniform(0.0, 1.0), num_samples).astype(np.float32)


def echo_of(voice: Samples, delay_samples: int, level_change_db: float, random: Random) -> Samples:
    """What a microphone hears of a loudspeaker: later, softer, duller, and smeared by a short reverberation."""
    num_taps = SAMPLE_RATE_HZ // 10
    decay = np.exp(-np.arange(num_taps) / (SAMPLE_RATE_HZ * 0.02))
    response = random.standard_normal(num_taps) * decay
    response[0] = 4.0
    response = np.convolve(response, np.ones(6) / 6)[:num_taps]  # a low-pass: small loudspeakers and far microphones
    response /= np.sqrt(np.sum(response**2))
    size = len(voice) + num_taps
    smeared = np.fft.irfft(np.fft.rfft(voice, size) * np.fft.rfft(response, size), size)[: len(voice)]
    delayed = np.zeros_like(voice)
    if delay_samples < len(voice):
        delayed[delay_samples:] = smeared[: len(voice) - delay_samples]
    return (delayed * 10 ** (level_change_db / 20)).astype(np.float32)


def _hum(num_samples: int, random: Random) -> Samples:
    """Mains and their harmonics, with some hiss."""
    time_s = np.arange(num_samples) / SAMPLE_RATE_HZ
    base_hz = float(random.choice([50.0, 60.0]))
    tones = sum(random.uniform(0.1, 1.0) * np.sin(2 * np.pi * base_hz * n * time_s) for n in range(1, 6))
    return (tones + 0.05 * random.standard_normal(num_samples)).astype(np.float32)


def _music(num_samples: int, random: Random) -> Samples:
    """Plucked notes of a five-tone scale, a chord at times."""
    sound = np.zeros(num_samples, np.float32)
    beat = int(SAMPLE_RATE_HZ * random.uniform(0.15, 0.4))
    scale = 220.0 * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16]) / 12)
    for start in range(0, num_samples, beat):
        length = min(4 * beat, num_samples - start)
        time_s = np.arange(length) / SAMPLE_RATE_HZ
        for pitch_hz in random.choice(scale, int(random.integers(1, 4)), replace=False):
            note = sum(np.sin(2 * np.pi * pitch_hz * n * time_s) / n for n in range(1, 5))
            sound[start : start + length] += (note * np.exp(-time_s / 0.3)).astype(np.float32)
    return sound


def _bursts(num_samples: int, random: Random, every_s: float, decay_s: float) -> Samples:
    """Short bursts of noise that fade."""
    sound = np.zeros(num_samples, np.float32)
    start = 0
    while start < num_samples:
        length = min(int(SAMPLE_RATE_HZ * decay_s * 6), num_samples - start)
        fade = np.exp(-np.arange(length) / (SAMPLE_RATE_HZ * decay_s))
        sound[start : start + length] += (colored_noise(length, random) * fade).astype(np.float32)
        start += int(SAMPLE_RATE_HZ * every_s * random.uniform(0.7, 1.6))
    return sound


def _faded(sound: Samples) -> Samples:
    """20 ms in and out, so that nothing clicks."""
    edge = min(SAMPLE_RATE_HZ // 50, len(sound) // 2)
    ramp = np.ones(len(sound), np.float32)
    ramp[:edge] = np.linspace(0, 1, edge)
    ramp[len(sound) - edge :] = np.linspace(1, 0, edge)
    return sound * ramp
