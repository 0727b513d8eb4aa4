"""Pretraining's documents and sounds, made up or from the data engine's files. An item is a function of its number.

Numbers from `HELD_OUT_FIRST` on are held-out items, the others are for training.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from model.tokenizers.text import TextTokenizer
from model.training.documents import Picture, Words
from model.training.files import FileDocuments, FileSounds
from model.training.registry import Setup
from model.training.synthetic import melody, picture_document
from streams.types import Ids

HELD_OUT_FIRST = 1 << 40  # the first number that training never reaches
SYNTHETIC_FRAMES = 12  # of a melody

Document: TypeAlias = list[Words | Picture]


class DataSource(Enum):
    """Whose data a stage learns from."""

    SYNTHETIC = "synthetic"  # made up from numbers: nothing to prepare, learned in seconds
    FILES = "files"  # what the data engine wrote


def documents_of(
    source: DataSource, setup: Setup, tokenizer: TextTokenizer, image_tokenizer: Path | None, picture_share: float
) -> Callable[[int], Document]:
    """Number → text with pictures."""
    model = setup.model
    if source is DataSource.FILES:
        return FileDocuments(setup, tokenizer, image_tokenizer, picture_share, HELD_OUT_FIRST)
    num_codes = model.image_vq.num_ids if model.image_vq is not None else 0
    return lambda number: picture_document(model, tokenizer, num_codes, number)


def sounds_of(source: DataSource, setup: Setup, codec: Path | None) -> Callable[[int], Ids]:
    """Number → audio codes [F, K]."""
    if source is DataSource.FILES:
        return FileSounds(setup, codec, HELD_OUT_FIRST)
    return lambda number: melody(setup.model, SYNTHETIC_FRAMES, number)
