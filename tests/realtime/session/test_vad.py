"""The Silero network behind our interface. What it is good at was measured by its authors, not here."""

import wave
from pathlib import Path

import numpy as np

from realtime.session.vad import MAX_CHUNKS_PER_PUSH, STEP_SAMPLES, Silero
from streams.types import SAMPLE_RATE_HZ, Samples

SPEECH = Path(__file__).parents[2] / "fixtures" / "speech.wav"
NOTHING = np.zeros(0, np.float32)


def drained(vad: Silero) -> list[float]:
    probabilities: list[float] = []
    while more := vad.push(NOTHING):
        probabilities += more
    return probabilities


def noise(num_samples: int) -> Samples:
    return (np.random.default_rng(3).standard_normal(num_samples) * 0.05).astype(np.float32)


def recorded_speech() -> Samples:
    """Hello there, how are you? By espeak-ng, at 24 kHz."""
    with wave.open(str(SPEECH)) as file:
        assert file.getframerate() == SAMPLE_RATE_HZ
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return pcm.astype(np.float32) / 32_768


def hum(num_samples: int) -> Samples:
    """A vowel of sorts: harmonics of 130 Hz that swell and fade four times a second."""
    time_s = np.arange(num_samples) / SAMPLE_RATE_HZ
    harmonics = sum(np.sin(2 * np.pi * 130 * k * time_s) / k for k in range(1, 25))
    return (0.2 * harmonics * np.abs(np.sin(np.pi * 4 * time_s))).astype(np.float32)


def test_silence_and_noise_are_not_speech() -> None:
    vad = Silero()
    assert max(vad.push(np.zeros(8 * STEP_SAMPLES, np.float32)) + drained(vad)) == 0.0
    assert max(vad.push(noise(8 * STEP_SAMPLES)) + drained(vad)) < 0.5


def test_one_push_looks_at_a_bounded_piece_and_leaves_the_rest() -> None:
    vad = Silero()
    assert len(vad.push(np.zeros(100 * STEP_SAMPLES, np.float32))) == MAX_CHUNKS_PER_PUSH
    assert len(drained(vad)) in range(100 - MAX_CHUNKS_PER_PUSH - 2, 100 - MAX_CHUNKS_PER_PUSH + 1)


def test_the_result_does_not_depend_on_how_sound_was_cut() -> None:
    sound = hum(10 * STEP_SAMPLES)
    at_once, in_pieces = Silero(), Silero()
    expected = at_once.push(sound) + drained(at_once)
    pieces = [in_pieces.push(sound[start : start + 1_000]) for start in range(0, len(sound), 1_000)]
    assert [p for piece in pieces for p in piece] + drained(in_pieces) == expected


def test_a_reset_forgets_what_was_heard_and_what_waits() -> None:
    vad = Silero()
    sound = hum(6 * STEP_SAMPLES)
    first = vad.push(sound)
    vad.push(hum(40 * STEP_SAMPLES))
    vad.reset()
    assert vad.push(sound) == first


def test_speech_is_found_in_speech() -> None:
    sound = np.concatenate((np.zeros(24_000, np.float32), recorded_speech(), np.zeros(24_000, np.float32)))
    vad = Silero()
    is_speech = [probability > 0.5 for probability in vad.push(sound) + drained(vad)]
    during = is_speech[31 : 31 + round(len(recorded_speech()) / STEP_SAMPLES)]
    assert np.mean(during) > 0.7
    assert not any(is_speech[:30])
    assert not any(is_speech[-25:])
