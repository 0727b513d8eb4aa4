"""What a live session hears and sees: speech from a file or a synthesizer, and drawn JPEG frames.

`speech` prefers a WAV file, then espeak-ng or flite where installed, then `voiced_signal`. Everything is mono float32
at 24 kHz.
"""

import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from omniweave_client.pcm import SAMPLE_RATE_HZ, Samples
from omniweave_client.wav import read_wav

SENTENCES = (
    "The harbour was quiet before sunrise, and only the gulls argued over the nets.",
    "She counted seven boats, wrote the number down, and poured the last of the coffee.",
    "When the wind turns north again, we will mend the roof and paint the door.",
)
PAUSE_S = 0.8  # between sentences: longer than the silence that ends a turn
# The first three resonances of ah, ee, oo, eh and aw in men's speech, after Peterson and Barney 1952.
VOWELS_HZ = ((730, 1_090, 2_440), (270, 2_290, 3_010), (300, 870, 2_240), (530, 1_840, 2_480), (570, 840, 2_410))
FORMANT_WIDTHS_HZ = (80, 100, 150)
FORMANT_GAINS = (1.0, 0.5, 0.25)
BREATH = 0.1  # noise between syllables; without it, voice detectors doubt
PITCH_HZ = 120.0
SYLLABLES_PER_S = 4.0
NUM_HARMONICS = 33  # to about 4 kHz
PEAK = 0.4

FRAME_WIDTH, FRAME_HEIGHT = 320, 240
JPEG_QUALITY = 80


def speech(wav: Path | None) -> tuple[Samples, str]:
    """One round of speech, to be repeated, and where it came from."""
    if wav is not None:
        return read_wav(wav), str(wav)
    pause = np.zeros(int(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    for synthesizer in ("espeak-ng", "flite"):
        if shutil.which(synthesizer):
            spoken = [part for sentence in SENTENCES for part in (_synthesize(synthesizer, sentence), pause)]
            return np.concatenate(spoken), synthesizer
    phrases = [part for seconds in (3.0, 2.0, 4.0) for part in (voiced_signal(seconds), pause)]
    return np.concatenate(phrases), "a synthetic voiced signal, which is no speech"


def voiced_signal(seconds: float) -> Samples:
    """Sounds like a voice to a voice detector, and says nothing: harmonics of a gliding pitch, shaped into vowels.

    Four syllables a second, each gliding from one vowel's resonances to the next, with breath between them. The same
    every time.
    """
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch_hz = PITCH_HZ * (1 + 0.12 * np.sin(2 * np.pi * 0.7 * time_s) + 0.05 * np.sin(2 * np.pi * 2.3 * time_s))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    syllable, progress = np.divmod(time_s * SYLLABLES_PER_S, 1.0)
    formants_hz = _glide(syllable.astype(int), np.clip(2 * progress - 1, 0, 1))
    voice = np.zeros_like(time_s)
    for harmonic in range(1, NUM_HARMONICS + 1):
        gain = _resonance(harmonic * pitch_hz, formants_hz)
        voice += gain / math.sqrt(harmonic) * np.sin(harmonic * phase)
    loudness = np.sqrt(np.sin(np.pi * progress))
    voice *= 0.1 + 0.9 * loudness
    breath = np.random.default_rng(0).standard_normal(len(time_s)) * (1 - loudness)
    pcm = voice / np.abs(voice).max() + BREATH * breath
    loud: Samples = (PEAK * pcm / np.abs(pcm).max()).astype(np.float32)
    return loud


def _glide(syllable: NDArray[np.int_], blend: NDArray[np.float64]) -> NDArray[np.float64]:
    """Resonances [3, num_samples]: those of each syllable's vowel, blended with the next one's."""
    vowels_hz = np.array(VOWELS_HZ, np.float64)
    here, there = vowels_hz[syllable % len(vowels_hz)].T, vowels_hz[(syllable + 1) % len(vowels_hz)].T
    return here * (1 - blend) + there * blend


def _resonance(frequency_hz: NDArray[np.float64], formants_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    gain = np.zeros_like(frequency_hz)
    for centre_hz, width_hz, height in zip(formants_hz, FORMANT_WIDTHS_HZ, FORMANT_GAINS, strict=True):
        gain += height / np.hypot(1, (frequency_hz - centre_hz) / (width_hz / 2))
    return gain


def _synthesize(synthesizer: str, sentence: str) -> Samples:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        arguments = ["-w", str(path), sentence] if synthesizer == "espeak-ng" else ["-t", sentence, "-o", str(path)]
        subprocess.run([synthesizer, *arguments], check=True, capture_output=True)
        return read_wav(path)


def drawn_frames() -> Iterator[bytes]:
    """JPEG frames without end: a disc that circles, and the frame's number."""
    for number in count():
        bgr = np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), 40, np.uint8)
        angle = 2 * np.pi * number / 16
        centre = (int(160 + 80 * np.cos(angle)), int(120 + 80 * np.sin(angle)))
        cv2.circle(bgr, centre, 24, (60, 180, 240), thickness=-1)
        cv2.putText(bgr, str(number), (8, 32), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2)
        encoded, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert encoded
        yield jpeg.tobytes()
