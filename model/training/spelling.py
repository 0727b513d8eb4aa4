"""Letters for connectionist temporal classification: text to label ids, frame scores to text, and errors by word.

Shapes: B clips, T moments, V symbols.
"""

import re
import unicodedata
from collections.abc import Sequence

import jiwer
import torch
from torch import Tensor

BLANK = 0
SYMBOLS = " 'abcdefghijklmnopqrstuvwxyz"
NUM_LABELS = 1 + len(SYMBOLS)

_UNSPOKEN = re.compile(r"[^a-z' ]+")


def spoken_letters(text: str) -> str:
    """Lower case, no accents, no punctuation but apostrophes, single spaces. Numbers must be in words already."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(_UNSPOKEN.sub(" ", plain).split())


def labels_of(text: str) -> list[int]:
    """Label ids of a text, without blanks."""
    return [1 + SYMBOLS.index(letter) for letter in spoken_letters(text)]


def read_greedily(scores_BTV: Tensor, num_moments: Sequence[int]) -> list[str]:
    """The best label of each moment; repetitions merged, blanks dropped."""
    texts = []
    for best_T, length in zip(scores_BTV.argmax(dim=-1), num_moments, strict=True):
        merged = torch.unique_consecutive(best_T[:length]).tolist()
        texts.append(" ".join("".join(SYMBOLS[label - 1] for label in merged if label != BLANK).split()))
    return texts


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Errors by word over words, both texts reduced to letters. References without a word are refused by jiwer."""
    return float(
        jiwer.wer([spoken_letters(text) for text in references], [spoken_letters(text) for text in hypotheses])
    )
