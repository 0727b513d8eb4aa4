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

from omniweave_client.pcm import SAMPLE_RATE_HZ, Samples
from omniweave_client.wav import read_wav

SENTENCES = (
    "The harbour was quiet before sunrise, and only the gulls argued over the nets.",
    "She counted seven boats, wrote the number down, and poured the last of the coffee.",
    "When the wind turns north again, we will mend the roof and paint the door.",
)
PAUSE_S = 0.8  # between sentences: longer than the silence that ends a turn
FORMANTS_HZ = (650.0, 1_100.0, 2_500.0)  # of a neutral vowel; Peterson and Barney 1952, between /a/ and /ʌ/
FORMANT_WIDTHS_HZ = (90.0, 110.0, 170.0)
PITCH_HZ = 120.0
SYLLABLES_PER_S = 4.0

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
    """Sounds like a voice to a voice detector, says nothing: a pulse train through three resonances, in syllables.

    Harmonics of a slowly gliding 120 Hz pitch, weighted by the resonances of a neutral vowel and a falling glottal
    slope, rise and fall four times a second.
    """
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch_hz = PITCH_HZ * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * time_s))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    pcm = np.zeros_like(time_s)
    for harmonic in range(1, 33):
        pcm += _vowel_gain(harmonic * PITCH_HZ) / harmonic * np.sin(harmonic * phase)
    syllables = 0.5 - 0.5 * np.cos(2 * np.pi * SYLLABLES_PER_S * time_s)
    pcm *= 0.15 + 0.85 * syllables
    loud: Samples = (0.4 * pcm / np.abs(pcm).max()).astype(np.float32)
    return loud


def _vowel_gain(frequency_hz: float) -> float:
    return sum(
        1 / math.hypot(1, (frequency_hz - centre_hz) / (width_hz / 2))
        for centre_hz, width_hz in zip(FORMANTS_HZ, FORMANT_WIDTHS_HZ, strict=True)
    )


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
