import numpy as np
import pytest
import torch

from model.training.data.scenes import COLOURS
from model.training.evaluation.drawing_reader import (
    READ_KINDS,
    SIDE_PX,
    SUBJECTS,
    DrawingReader,
    labels_of,
    load_drawing_reader,
    some_picture,
    train_drawing_reader,
)
from model.training.simulation.pictures import by_hand
from model.training.simulation.script import Picture, PictureKind

STARS = Picture(PictureKind.COUNT, "star", "blue", 3)


class Knowing(DrawingReader):
    """Reads one thing in whatever it is shown."""

    def __init__(self, subject: str, colour: str, count: int) -> None:
        super().__init__()
        self._read = (SUBJECTS.index(subject), COLOURS.index(colour), count - 1)

    def forward(self, pixels_BCHW: torch.Tensor) -> list[torch.Tensor]:
        assert pixels_BCHW.shape == (1, 3, SIDE_PX, SIDE_PX)
        sizes = (len(SUBJECTS), len(COLOURS), 6)
        return [torch.eye(size)[None, read] for size, read in zip(sizes, self._read, strict=True)]


@pytest.mark.parametrize(
    ("subject", "colour", "count", "agrees"),
    [("star", "blue", 3, True), ("star", "red", 3, False), ("star", "blue", 4, False), ("heart", "blue", 3, False)],
)
def test_drawing_is_right_where_subject_colour_and_count_are(subject, colour, count, agrees):
    assert Knowing(subject, colour, count).agrees(STARS, by_hand(STARS, 96)) is agrees


@pytest.mark.parametrize(
    ("picture", "read", "agrees"),
    [
        (Picture(PictureKind.DIGIT, "7", "red"), ("7", "green", 2), True),
        (Picture(PictureKind.DIGIT, "7", "red"), ("1", "red", 1), False),
        (Picture(PictureKind.COLOR, "red", "red"), ("plain", "red", 4), True),
        (Picture(PictureKind.COLOR, "red", "red"), ("circle", "red", 1), False),
        (Picture(PictureKind.THING, "house", "red"), ("house", "grey", 1), True),
        (Picture(PictureKind.THING, "car", "red"), ("car", "grey", 1), False),
    ],
)
def test_what_was_not_asked_for_does_not_matter(picture, read, agrees):
    assert Knowing(*read).agrees(picture, by_hand(picture, 96)) is agrees


def test_words_and_emoji_are_not_read():
    with pytest.raises(ValueError, match="not read"):
        labels_of(Picture(PictureKind.WORD, "apple", "red"))


def test_pictures_to_learn_from_are_of_all_kinds_and_the_same_every_time():
    assert {some_picture("train", 0, place)[0].kind for place in range(40)} == set(READ_KINDS)
    assert np.array_equal(some_picture("test", 1)[1], some_picture("test", 1)[1])


def test_reader_learns_and_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "kept" / "reader.pt"
    monkeypatch.setattr(
        "model.training.evaluation.drawing_reader.train_drawing_reader", lambda: train_drawing_reader(1, batch=2)
    )
    first = load_drawing_reader(path)
    again = load_drawing_reader(path)
    pixels_BCHW = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    assert all(torch.equal(a, b) for a, b in zip(first(pixels_BCHW), again(pixels_BCHW), strict=True))
