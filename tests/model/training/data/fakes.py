"""A fake engine and what goes with it, for building small sets in tests. It says itself that it is fake."""

import numpy as np
from numpy.typing import NDArray

from model.training.data.clip import Split, Word
from model.training.data.engines.engine import Speech
from model.training.data.held_out import text_split
from model.training.data.speech_maker import SpeechMaker, SpeechPlan
from model.training.data.text.mix import SentenceMix
from model.training.data.text.sentence import Kind

FAKE = "fake"
RATE_HZ = 16_000
WORD_S = 0.1


class FakeEngine:
    """A tone for each word, whose pitch depends on the seed. Nobody would take it for speech."""

    def __init__(self) -> None:
        self.num_spoken = 0

    def speak(self, text: str, voice: str, seed: int) -> Speech:
        self.num_spoken += 1
        words = text.split()
        time_s = np.arange(int(len(words) * WORD_S * RATE_HZ)) / RATE_HZ
        hz = np.random.default_rng(seed).uniform(100, 1000)
        pcm = 0.1 * np.sin(2 * np.pi * hz * time_s, dtype=np.float64)
        word_us = int(WORD_S * 1_000_000)
        times = tuple(Word(i * word_us, (i + 1) * word_us, word) for i, word in enumerate(words))
        return Speech(pcm.astype(np.float32), RATE_HZ, times)


class HearsSpeechInTones:
    """Stands in for the voice activity detector, which does not take tones for speech."""

    def voiced(self, pcm: NDArray[np.float32]) -> float:
        return float(np.abs(pcm).max() > 0)


def sentences(count: int) -> list[str]:
    """Made-up sentences of both splits."""
    return [f"This is fake sentence number {number} of many." for number in range(count)]


def fake_mix(seed: int = 0) -> SentenceMix:
    """Dialogue without any corpus, and the templates."""
    assert any(text_split(sentence) is Split.EVAL for sentence in sentences(400))
    return SentenceMix({Kind.DIALOGUE: sentences(400)}, seed, {Kind.DIALOGUE: 0.5, Kind.NUMBER: 0.3, Kind.COMMAND: 0.2})


def fake_plan(seed: int = 0, eval_clips: int = 3, clips_per_shard: int = 4) -> SpeechPlan:
    return SpeechPlan(
        engine=FAKE,
        licence="none: it is fake",
        train_voices=("high", "low"),
        eval_voices=("high", "low", "unseen"),
        eval_clips=eval_clips,
        seed=seed,
        clips_per_shard=clips_per_shard,
    )


def load_fake_maker(plan: SpeechPlan) -> SpeechMaker:
    return SpeechMaker(plan, FakeEngine(), fake_mix(plan.seed), HearsSpeechInTones())
