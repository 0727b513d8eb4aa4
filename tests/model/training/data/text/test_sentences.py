"""Sentences are speakable, clean, and functions of their number."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.training.data.clip import Split
from model.training.data.missing import MissingPackage
from model.training.data.text.dialogue import dialogue_sentences
from model.training.data.text.glosses import gloss_sentences, wordnet_glosses
from model.training.data.text.mix import SentenceMix
from model.training.data.text.numerals import cardinal, digits, ordinal, year
from model.training.data.text.sentence import Kind
from model.training.data.text.spoken import is_unwanted, spoken
from model.training.data.text.templates import MAKERS, make
from tests.model.training.data.fakes import fake_mix, sentences

KNOWN = frozenset("i i'm you are we can go to the park now really do not know okay what is this".split())  # noqa: SIM905


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (42, "forty-two"),
        (100, "one hundred"),
        (1_305, "one thousand three hundred five"),
        (2_000_017, "two million seventeen"),
    ],
)
def test_numbers_are_spelled_out(number: int, words: str) -> None:
    assert cardinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "first"), (12, "twelfth"), (20, "twentieth"), (21, "twenty-first"), (104, "one hundred fourth")],
)
def test_ordinals_are_spelled_out(number: int, words: str) -> None:
    assert ordinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1984, "nineteen eighty-four"),
        (1906, "nineteen oh six"),
        (2000, "two thousand"),
        (2003, "two thousand three"),
        (2024, "twenty twenty-four"),
        (1700, "seventeen hundred"),
    ],
)
def test_years_are_read_in_pairs(number: int, words: str) -> None:
    assert year(number) == words


def test_digits_are_read_one_by_one() -> None:
    assert digits("407") == "four zero seven"


@pytest.mark.parametrize("number", [-1, 10**12])
def test_numbers_nobody_says_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match=str(number)):
        cardinal(number)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_different_numbers_sound_different(a: int, b: int) -> None:
    assert (cardinal(a) == cardinal(b)) == (a == b)


def test_typed_words_are_repaired() -> None:
    assert spoken("im ok, are u", KNOWN, 1, 9) == "I'm okay, are you."
    assert spoken("do u know what this is??", KNOWN, 1, 9) == "Do you know what this is?"


@pytest.mark.parametrize(
    "text",
    [
        "go to http://park.example",
        "we can go at 8",
        "WHAT is this",
        "do you know zxqv",
        "go",
        "we can go to the park now and go and go and go",
        "you are :) okay",
        "you are v okay",
    ],
)
def test_what_cannot_be_spoken_is_dropped(text: str) -> None:
    assert spoken(text, KNOWN | {"and", "at", "v"}, 2, 9) is None


@pytest.mark.parametrize("word", ["fuck", "fucking", "shitty", "killed", "die", "haha", "hahaha"])
def test_unwanted_words_and_what_begins_with_them_are_known(word: str) -> None:
    assert is_unwanted(word)


@pytest.mark.parametrize("word", ["diet", "class", "skill", "hello", "pass", "cockpit", "grape", "assume"])
def test_innocent_words_that_contain_unwanted_ones_pass(word: str) -> None:
    assert not is_unwanted(word)


def test_sentences_with_names_and_rare_words_are_left_out_of_dialogue() -> None:
    messages = ["we go to the park"] * 9 + [
        "then we visit Zanzibar now",
        "zzyzx is here",
        "we go to Alice",
        "the alice",
    ]
    assert dialogue_sentences(messages) == ["We go to the park."]


def test_glosses_become_definitions_and_examples() -> None:
    glosses = ['a small boat (for one); "the boat sailed away slowly"', "having 3 sides", "an inhabitant of Norway"]
    assert gloss_sentences(glosses) == ["A small boat.", "The boat sailed away slowly."]


def test_missing_wordnet_says_how_to_get_it(tmp_path) -> None:
    with pytest.raises(MissingPackage, match="apt-get install wordnet-base"):
        wordnet_glosses(tmp_path)


@pytest.mark.parametrize("kind", list(MAKERS))
def test_templates_give_speakable_sentences(kind: Kind) -> None:
    for seed in range(200):
        text = make(kind, np.random.default_rng(seed))
        assert re.fullmatch(r"[A-Z][A-Za-z ,.?!:'-]*[.?!]", text), text
        assert "  " not in text


@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.NAME, Kind.SPELLING, Kind.COMMAND])
def test_templates_seldom_repeat(kind: Kind) -> None:
    assert len({make(kind, np.random.default_rng(seed)) for seed in range(300)}) > 240


def test_spelling_sentences_spell_the_word_they_name() -> None:
    texts = [make(Kind.SPELLING, np.random.default_rng(seed)) for seed in range(100)]
    spelled = [match for text in texts if (match := re.fullmatch(r"(\w+) is spelled (.*)\.", text))]
    assert spelled
    assert all(match[1].upper() == match[2].replace(", ", "") for match in spelled)


def test_sentence_n_is_the_same_whenever_it_is_asked_for() -> None:
    one, two = fake_mix(), fake_mix()
    backwards = [two.sentence(Split.TRAIN, number) for number in reversed(range(50))]
    assert [one.sentence(Split.TRAIN, number) for number in range(50)] == backwards[::-1]
    assert one.sentence(Split.TRAIN, 0) != one.sentence(Split.TRAIN, 1)


def test_corpus_sentences_come_once_each_before_they_repeat() -> None:
    mix = SentenceMix({Kind.DIALOGUE: sentences(300)}, 0, {Kind.DIALOGUE: 1.0})
    drawn = [mix.sentence(Split.TRAIN, number).text for number in range(280)]
    assert len(set(drawn)) == 280


def test_kinds_come_in_their_shares() -> None:
    mix = fake_mix()
    kinds = [mix.sentence(Split.TRAIN, number).kind for number in range(600)]
    assert 0.4 < kinds.count(Kind.DIALOGUE) / 600 < 0.6
    assert Kind.GLOSS not in kinds


def test_a_kind_without_sentences_is_refused() -> None:
    with pytest.raises(ValueError, match="no sentences of kind dialogue"):
        SentenceMix({}, 0, {Kind.DIALOGUE: 1.0})
