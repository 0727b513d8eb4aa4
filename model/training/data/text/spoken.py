"""From typed text to a sentence that can be spoken, or None where it should not be.

Kept: plain English words and light punctuation. Dropped: addresses, digits, symbols, shouting, names, unwanted words
and words that hardly anybody uses (mostly typing mistakes).
"""

import re
from collections.abc import Collection

from model.training.data.text.words import REPAIRS, UNWANTED

_ALLOWED = re.compile(r"[A-Za-z ,.?!;'-]+")
_LETTERS = frozenset("bcdefghjklmnopqrstuvwxyz")  # "u r": the words among the letters are "a" and "I"
_EDGE = ".,?!;'-"
_UNWANTED_WORDS = frozenset(word for word in UNWANTED if not word.endswith("*"))
_UNWANTED_STEMS = tuple(word[:-1] for word in UNWANTED if word.endswith("*"))


def is_unwanted(word: str) -> bool:
    """Whether a lower-case word is profane, cruel or otherwise nothing for an assistant's voice to practise."""
    return word in _UNWANTED_WORDS or word.startswith(_UNWANTED_STEMS)


def bare(token: str) -> str:
    """The word in a token: lower case, without the punctuation around it."""
    return token.strip(_EDGE).lower()


def spoken(text: str, known: Collection[str], min_words: int, max_words: int) -> str | None:
    """The sentence as it is spoken, or None. `known` holds the lower-case words that may occur."""
    text = text.replace("’", "'").replace("...", ".").strip()
    if not _ALLOWED.fullmatch(text):
        return None
    tokens = []
    for token in text.split():
        word = token.strip(_EDGE)
        if word:
            tokens.append(token.replace(word, REPAIRS.get(word.lower(), word), 1))
    words = [bare(part) for token in tokens for part in token.split()]
    if not min_words <= len(words) <= max_words:
        return None
    if any(word not in known or is_unwanted(word) or word in _LETTERS for word in words):
        return None
    if any(len(token) > 2 and token.isupper() and token.isalpha() for token in tokens):
        return None
    sentence = re.sub(r"([,.?!;])[,.?!;]+", r"\1", " ".join(tokens)).rstrip(" ,;-")
    sentence = sentence[0].upper() + sentence[1:]
    return sentence if sentence[-1] in ".?!" else sentence + "."
