"""Times of words from times of phonemes, where the phonemes of a sentence run words together.

In: each word with the phonemes it has on its own ("of" → ʌv, "the" → ðə), and the sentence's timed phonemes (ə v ð ə).
Out: one span per word. The two phoneme strings are aligned by edit distance; every timed phoneme goes to the word of
the phoneme it aligns with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.training.data.clip import Word

_SILENT = frozenset(" .,;:!?—…\"'()-")
_SPACE_MISMATCH = 2.0  # a space aligned to a sound; twice a substitution, so that words stay whole where they can
_WINDOW_US = 10_000
_SILENT_DB = -35.0  # below the loudest window of the clip


@dataclass(frozen=True, slots=True)
class TimedPhoneme:
    symbol: str
    start_us: int
    end_us: int


def word_times(words: Sequence[tuple[str, Sequence[str]]], phonemes: Sequence[TimedPhoneme]) -> tuple[Word, ...]:
    """`words` are (text, its phonemes when spoken alone). Words that no phoneme aligns with have no duration."""
    expected: list[str] = []
    owners: list[int] = []
    for number, (_, alone) in enumerate(words):
        symbols = [symbol for symbol in alone if symbol not in _SILENT]
        expected += [*symbols, " "]
        owners += [*[number] * len(symbols), -1]
    heard = [p for p in phonemes if p.symbol not in _SILENT or p.symbol == " "]
    spans: dict[int, tuple[int, int]] = {}
    owner = 0
    for phoneme, match in zip(heard, _align(expected, [p.symbol for p in heard]), strict=True):
        if match is not None and owners[match] >= 0:
            owner = owners[match]
        if phoneme.symbol == " ":
            continue
        first_us, _ = spans.get(owner, (phoneme.start_us, 0))
        spans[owner] = (first_us, phoneme.end_us)
    out: list[Word] = []
    for number, (text, _) in enumerate(words):
        at_us = out[-1].end_us if out else 0
        start_us, end_us = spans.get(number, (at_us, at_us))
        out.append(Word(start_us, end_us, text))
    return tuple(out)


def within_sound(word: Word, pcm: NDArray[np.float32], rate_hz: int) -> Word:
    """The word without silence at its edges, for engines that give the last phoneme the pause after it."""
    size = rate_hz * _WINDOW_US // 1_000_000
    power = np.square(pcm[: len(pcm) // size * size].reshape(-1, size)).mean(axis=1)
    first, end = word.start_us // _WINDOW_US, -(-word.end_us // _WINDOW_US)
    loud = np.flatnonzero(power[first:end] > power.max(initial=0.0) * 10 ** (_SILENT_DB / 10))
    if not len(loud):
        return word
    start_us, end_us = (first + int(loud[0])) * _WINDOW_US, (first + int(loud[-1]) + 1) * _WINDOW_US
    return Word(max(word.start_us, start_us), min(word.end_us, end_us), word.text)


def _align(expected: Sequence[str], heard: Sequence[str]) -> list[int | None]:
    """For each heard symbol the index of the expected symbol it aligns with; None where it was inserted."""
    cost = np.zeros((len(heard) + 1, len(expected) + 1))
    cost[0] = np.arange(len(expected) + 1)
    cost[:, 0] = np.arange(len(heard) + 1)
    for i, symbol in enumerate(heard, 1):
        row, above = cost[i], cost[i - 1]
        for j, other in enumerate(expected, 1):
            row[j] = min(above[j - 1] + _difference(symbol, other), above[j] + 1, row[j - 1] + 1)
    matches: list[int | None] = [None] * len(heard)
    i, j = len(heard), len(expected)
    while i and j:
        if cost[i, j] == cost[i - 1, j - 1] + _difference(heard[i - 1], expected[j - 1]):
            i, j = i - 1, j - 1
            matches[i] = j
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return matches


def _difference(a: str, b: str) -> float:
    if a == b:
        return 0.0
    return _SPACE_MISMATCH if " " in (a, b) else 1.0
