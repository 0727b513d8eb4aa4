"""Pretraining samples: text, pictures and sound to be foreseen, before there are turns or a clock.

All is received (source flag 0). Text and pictures share one tick; the tick of an audio frame is its position. Segments
of another kind than text stand between their delimiters.

Shape legend: F frames, K codebooks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.config import ModelConfig
from model.training.sequences import Sample, SampleBuilder
from streams.packer import Segment
from streams.types import Ids, Stream

CONSTANT_TICK = 0  # of all text and pictures


@dataclass(frozen=True, slots=True)
class Words:
    """A stretch of text, as text ids."""

    ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, as codes of the image tokenizer in reading order."""

    codes: Sequence[int]


def document_sample(config: ModelConfig, parts: Sequence[Words | Picture], silence_weight: float = 0.0) -> Sample:
    """Interleaved text and pictures. With `silence_weight` the audio head is taught No Output all along."""
    builder = SampleBuilder(config)
    vocab = config.vocab
    for part in parts:
        if isinstance(part, Words):
            builder.read(_ids(Stream.TEXT_IN, part.ids), CONSTANT_TICK)
            continue
        builder.read(_ids(Stream.TEXT_IN, [vocab.delimiter("image_start")]), CONSTANT_TICK)
        codes = np.asarray(part.codes) + vocab.first_image
        builder.read(_ids(Stream.IMAGE_IN, codes), CONSTANT_TICK)
        builder.read(_ids(Stream.TEXT_IN, [vocab.delimiter("image_end")]), CONSTANT_TICK)
    if silence_weight:
        builder.silence_audio(silence_weight)
    return builder.build()


def sound_sample(config: ModelConfig, codes_FK: Ids, silence_weight: float = 0.0) -> Sample:
    """Frames to be foreseen one from the others. With `silence_weight` the text head is taught No Output all along."""
    builder = SampleBuilder(config)
    builder.receive(_ids(Stream.TEXT_IN, [config.vocab.delimiter("audio_start")]), CONSTANT_TICK)
    for tick, codes_K in enumerate(codes_FK):
        builder.teach_audio(codes_K)
        builder.receive(Segment(Stream.AUDIO_IN, codes=np.asarray(codes_K, np.int32)[None]), tick)
    if silence_weight:
        builder.silence_text(silence_weight)
    return builder.build()


def _ids(stream: Stream, ids: Sequence[int] | Ids) -> Segment:
    return Segment(stream, ids=np.asarray(ids, np.int32))
