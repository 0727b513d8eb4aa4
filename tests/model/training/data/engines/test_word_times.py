"""Words get the time of their phonemes, also where the sentence runs them together."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.training.data.clip import Word
from model.training.data.engines.word_times import TimedPhoneme, within_sound, word_times


def timed(phonemes: str) -> list[TimedPhoneme]:
    """A phoneme every 100 µs."""
    return [TimedPhoneme(symbol, 100 * i, 100 * (i + 1)) for i, symbol in enumerate(phonemes)]


def spans(words: list[tuple[str, str]], phonemes: str) -> list[tuple[int, int]]:
    return [(word.start_us // 100, word.end_us // 100) for word in word_times(words, timed(phonemes))]


def test_words_apart_get_their_own_phonemes() -> None:
    assert spans([("go", "ɡoʊ"), ("home", "hoʊm")], "ɡoʊ hoʊm.") == [(0, 3), (4, 8)]


def test_words_run_together_are_told_apart_by_how_they_sound_alone() -> None:
    assert spans([("one", "wʌn"), ("of", "ʌv"), ("the", "ðə"), ("best", "bɛst")], "wʌn əvðə bɛst") == [
        (0, 3),
        (4, 6),
        (6, 8),
        (9, 13),
    ]


def test_one_word_may_be_several_spoken_ones() -> None:
    assert spans([("22", "twɛnti tuː"), ("now", "naʊ")], "twɛnti tuː naʊ") == [(0, 10), (11, 14)]


def test_a_word_that_sounds_different_in_its_sentence_keeps_its_place() -> None:
    assert spans([("a", "eɪ"), ("cat", "kæt")], "ɐ kæt") == [(0, 1), (2, 5)]


def test_a_word_nobody_hears_has_no_duration() -> None:
    words = word_times([("go", "ɡoʊ"), ("—", ""), ("on", "ɔn")], timed("ɡoʊ ɔn"))
    assert [word.text for word in words] == ["go", "—", "on"]
    assert words[1].start_us == words[1].end_us == 300


def test_symbols_may_be_longer_than_a_letter() -> None:
    phonemes = [TimedPhoneme(symbol, i, i + 1) for i, symbol in enumerate(["hh", "ay", " ", "y", "uw"])]
    words = word_times([("hi", ("hh", "ay")), ("you", ("y", "uw"))], phonemes)
    assert [(word.start_us, word.end_us) for word in words] == [(0, 2), (3, 5)]


def test_silence_at_the_edges_of_a_word_is_not_part_of_it() -> None:
    pcm = np.zeros(16_000, np.float32)
    pcm[4_800:8_000] = 0.1  # sound from 300 to 500 ms
    assert within_sound(Word(0, 900_000, "so"), pcm, 16_000) == Word(300_000, 500_000, "so")
    assert within_sound(Word(350_000, 450_000, "so"), pcm, 16_000) == Word(350_000, 450_000, "so")
    assert within_sound(Word(600_000, 900_000, "so"), pcm, 16_000) == Word(600_000, 900_000, "so")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("abcdeː", min_size=1, max_size=5), min_size=1, max_size=6), st.text("abcdeː ,", max_size=30))
def test_spans_are_in_order_and_do_not_overlap_whatever_is_heard(words: list[str], heard: str) -> None:
    out = word_times([(word, word) for word in words], timed(heard))
    assert [word.text for word in out] == words
    ends = [0]
    for word in out:
        assert ends[-1] <= word.start_us <= word.end_us
        ends.append(word.end_us)
