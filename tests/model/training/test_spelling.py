import pytest
import torch

from model.training.spelling import BLANK, NUM_LABELS, labels_of, read_greedily, spoken_letters, word_error_rate


def scores_of(labels: list[int]) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([labels]), NUM_LABELS).float()


def test_letters_lose_case_accents_and_punctuation():
    assert spoken_letters("Déjà vu, isn't it?  Yes.") == "deja vu isn't it yes"


def test_reading_gives_back_the_text_of_its_labels():
    text = "all well"
    with_blanks = [label for letter in labels_of(text) for label in (letter, letter, BLANK)]
    assert read_greedily(scores_of(with_blanks), [len(with_blanks)]) == [text]


def test_moments_beyond_the_clip_are_not_read():
    assert read_greedily(scores_of(labels_of("no more")), [2]) == ["no"]


@pytest.mark.parametrize(("heard", "rate"), [("one two three", 0.0), ("one three", 1 / 3), ("One, two; tree", 1 / 3)])
def test_word_error_rate_counts_words(heard, rate):
    assert word_error_rate(["one two three"], [heard]) == pytest.approx(rate)
