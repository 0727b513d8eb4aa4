"""Letters for connectionist temporal classification: text to label ids, frame scores to text, and errors by word.

Shapes: B clips, T moments, V symbols.
"""

import re
import unicodedata
from collections.abc import Sequence

import jiwer
import torch
from torch import Tensor

from model.training.data.text.numerals import cardinal, digits, year

BLANK = 0
SYMBOLS = " 'abcdefghijklmnopqrstuvwxyz"
NUM_LABELS = 1 + len(SYMBOLS)

_UNSPOKEN = re.compile(r"[^a-z' ]+")
_NUMBER = re.compile(r"\d+")


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
    """Errors by word over words, both texts reduced to letters. Raises ValueError where there is not a word."""
    counted = [word_errors(*texts) for texts in zip(references, hypotheses, strict=True)]
    num_words = sum(words for _, words in counted)
    if num_words == 0:
        raise ValueError("no words to compare with")
    return sum(errors for errors, _ in counted) / num_words


def word_errors(spoken: str, read: str) -> tuple[int, int]:
    """(errors, words) of a reading. Digits that the judge wrote are read in the way that fits best."""
    reference = spoken_letters(spoken)
    outcomes = [jiwer.process_words(reference, spoken_letters(reading)) for reading in readings(read)]
    best = min(outcomes, key=lambda outcome: outcome.wer)
    return best.substitutions + best.deletions + best.insertions, len(reference.split())


def readings(text: str) -> Sequence[str]:
    """A text with its numbers in words: as amounts, as years, digit by digit."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text).replace("%", " percent").replace("&", " and ")
    if not _NUMBER.search(text):
        return (text,)
    return tuple(_NUMBER.sub(lambda match, say=say: f" {say(match[0])} ", text) for say in (_amount, _year, digits))


def _amount(number: str) -> str:
    return cardinal(int(number)) if len(number) <= 6 else digits(number)


def _year(number: str) -> str:
    return year(int(number)) if 1_100 <= int(number) < 2_100 else _amount(number)
