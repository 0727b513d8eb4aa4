"""SpeechMaker: the clips of shard n, as a function of the plan and n alone, whoever makes it and in whatever order."""

from typing import Protocol

import msgspec
import numpy as np
import soxr
from numpy.typing import NDArray

from model.training.data.clip import CLIP_RATE_HZ, ClipRecord, Split, Word
from model.training.data.engines.engine import SpeechEngine
from model.training.data.held_out import check_split
from model.training.data.level import levelled, loudest
from model.training.data.seeding import seed_of
from model.training.data.text.mix import SentenceMix

CLIPS_PER_SHARD = 64

MIN_SAMPLES = CLIP_RATE_HZ // 4
MAX_SAMPLES = CLIP_RATE_HZ * 20
_HEARD_SAMPLES = CLIP_RATE_HZ  # the detector hears the loudest second: all of a clip would cost more than some engines
MIN_VOICED = 0.2  # a short answer between an engine's pauses still has this much; noise and broken synthesis have not


class SpeechPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a set consists of, however much training speech it has. A resumed build must have the same."""

    engine: str
    licence: str
    train_voices: tuple[str, ...]
    eval_voices: tuple[str, ...]
    eval_clips: int
    seed: int
    clips_per_shard: int = CLIPS_PER_SHARD

    def voices(self, split: Split) -> tuple[str, ...]:
        return self.train_voices if split is Split.TRAIN else self.eval_voices


class VoicedShare(Protocol):
    def voiced(self, pcm: NDArray[np.float32]) -> float:
        """The share of a clip that is speech."""


class SpeechMaker:
    """Joins what a clip is made of: a sentence, a voice, an engine, and the ear that rejects what is not speech."""

    def __init__(self, plan: SpeechPlan, engine: SpeechEngine, mix: SentenceMix, activity: VoicedShare) -> None:
        self._plan = plan
        self._engine = engine
        self._mix = mix
        self._activity = activity

    def shard(self, split: Split, number: int) -> list[tuple[ClipRecord, NDArray[np.float32]]]:
        """The clips of one shard, without those that hold too little speech or are too long."""
        first = number * self._plan.clips_per_shard
        end = first + self._plan.clips_per_shard
        if split is Split.EVAL:
            end = min(end, self._plan.eval_clips)
        clips = (self._clip(split, index) for index in range(first, end))
        return [clip for clip in clips if clip is not None]

    def _clip(self, split: Split, index: int) -> tuple[ClipRecord, NDArray[np.float32]] | None:
        plan = self._plan
        voices = plan.voices(split)
        voice = voices[index % len(voices)]
        sentence = self._mix.sentence(split, index)
        speech = self._engine.speak(sentence.text, voice, seed_of(plan.seed, plan.engine, split, index))
        pcm = levelled(soxr.resample(speech.pcm.astype(np.float32), speech.rate_hz, CLIP_RATE_HZ, "VHQ"))
        if not MIN_SAMPLES <= len(pcm) <= MAX_SAMPLES:
            return None
        voiced = self._activity.voiced(loudest(pcm, _HEARD_SAMPLES))
        if voiced < MIN_VOICED:
            return None
        end_us = len(pcm) * 1_000_000 // CLIP_RATE_HZ
        record = ClipRecord(
            key=f"{plan.engine}-{split}-{index:06d}",
            text=sentence.text,
            kind=sentence.kind,
            speaker=voice,
            source=plan.engine,
            licence=plan.licence,
            split=split,
            num_samples=len(pcm),
            voiced=round(voiced, 3),
            words=tuple(Word(min(w.start_us, end_us), min(w.end_us, end_us), w.text) for w in speech.words),
        )
        check_split(record)
        return record, pcm
