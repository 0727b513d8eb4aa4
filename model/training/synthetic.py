"""Data from nothing: small worlds, numbered items, each a function of its number. For tests and for a first try.

Every world has something to be learned in seconds: a picture follows from its name, a melody from its first frames, an
answer from its question.

Shape legend: F frames, K codebooks.
"""

import numpy as np

from model.config import ModelConfig
from model.tokenizers.text import TextTokenizer
from model.training.data.seeding import random_for
from model.training.documents import Picture, Words
from streams.types import Ids

COLORS = ("red", "blue", "green", "grey")
PATTERNS = ("plain", "striped", "checked")
ANIMALS = ("cat", "dog", "owl", "fox")
NUM_NOTES = 8  # each a frame of its own
SOUNDS = ("meow", "woof", "hoot", "yip")


def picture_document(
    config: ModelConfig, tokenizer: TextTokenizer, num_codes: int, number: int
) -> list[Words | Picture]:
    """A name and its picture, in either order. Colour and pattern decide every code."""
    random = random_for("picture_document", number)
    color, pattern = int(random.integers(len(COLORS))), int(random.integers(len(PATTERNS)))
    name = Words(tokenizer.encode(f"{PATTERNS[pattern]} {COLORS[color]} "))
    picture = Picture(picture_codes(config, color, pattern, num_codes))
    return [name, picture] if random.random() < 0.5 else [picture, name]


def picture_codes(config: ModelConfig, color: int, pattern: int, num_codes: int) -> list[int]:
    """Codes in reading order of a square grid."""
    side = max(round(num_codes**0.5), 1)
    other = [0, 1, 2][pattern]
    cells = [(place // side, place % side) for place in range(num_codes)]
    alternates = [(0, column % 2, (row + column) % 2)[other] for row, column in cells]
    return [(1 + color + len(COLORS) * dark) % config.vocab.image for dark in alternates]


def melody(config: ModelConfig, num_frames: int, number: int) -> Ids:
    """Codes [F, K] int32 of notes that climb by a fixed interval; the first two tell all that follow."""
    random = random_for("melody", number)
    start, interval = random.integers(NUM_NOTES), random.integers(1, 4)
    notes_F1 = (start + interval * np.arange(num_frames)[:, None]) % NUM_NOTES
    codebook_K = np.arange(config.audio.num_codebooks)
    return ((37 * notes_F1 + 11 * codebook_K + notes_F1 * codebook_K) % config.audio.codebook_size).astype(np.int32)


def animal_question(number: int) -> tuple[str, str]:
    """A question and its one right answer."""
    animal = int(random_for("animal_question", number).integers(len(ANIMALS)))
    return f"{ANIMALS[animal]}?", SOUNDS[animal]


def preference(number: int) -> tuple[str, str, str]:
    """A question, the answer that is liked and the one that is not: the same words, with and without manners."""
    question, answer = animal_question(number)
    return question, f"{answer}, please", f"{answer}, duh"
