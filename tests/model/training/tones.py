"""Speech that is none: a fake speaker who says every letter as a tone of its own, and a set of such clips in memory."""

import numpy as np

from model.training.data.clip import ClipRecord, SpeechClip, Split
from streams.types import SAMPLE_RATE_HZ

PITCH_HZ = {"a": 300.0, "b": 1_500.0, " ": 0.0}  # a space is silent


def spoken(text: str, speaker: str = "joe", letter_seconds: float = 0.3) -> SpeechClip:
    seconds = np.arange(int(letter_seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tones = [0.3 * np.sin(2 * np.pi * PITCH_HZ[letter] * seconds) * np.hanning(len(seconds)) for letter in text]
    return SpeechClip(np.concatenate(tones).astype(np.float32), text, speaker, "tones", ())


class ToneSet:
    """Satisfies `ClipSet`. `num_read` counts the clips that were asked for."""

    def __init__(self, *texts: str, speaker: str = "joe", letter_seconds: float = 0.3) -> None:
        self._clips = [spoken(text, speaker, letter_seconds) for text in texts]
        self.num_read = 0
        self.records = [
            ClipRecord(
                key=clip.text,
                text=clip.text,
                kind="fake",
                speaker=clip.speaker,
                source=clip.source,
                licence="none",
                split=Split.TRAIN,
                num_samples=len(clip.pcm),
                voiced=1.0,
            )
            for clip in self._clips
        ]

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> SpeechClip:
        self.num_read += 1
        return self._clips[number]
