import numpy as np
import pytest
import torch

from model.training.data.scenes import COLOURS
from model.training.evaluation import drawing_reader
from model.training.evaluation.drawing_reader import (
    NOTHING,
    ORIGINALS,
    READ_KINDS,
    SIDE_PX,
    SUBJECTS,
    DrawingReader,
    labels_of,
    lesson,
    load_drawing_reader,
    no_drawing,
    right_as_others,
    right_on_originals,
    save_drawing_reader,
    some_picture,
    taken_for_drawings,
    train_drawing_reader,
)
from model.training.evaluation.exams import drawn_exam, typed
from model.training.evaluation.series import JudgeOfDrawings, Series
from model.training.simulation.pictures import by_hand
from model.training.simulation.script import Picture, PictureKind
from tests.model.training.evaluation.agent import Cue, Line, ToldAgent

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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that learns for one step."""
    monkeypatch.setattr(drawing_reader, "train_drawing_reader", lambda: train_drawing_reader(1, batch=2))


def test_reader_learns_and_is_kept(tmp_path, quick):
    path = tmp_path / "kept" / "reader.safetensors"
    first = load_drawing_reader(path)
    again = load_drawing_reader(path)
    pixels_BCHW = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    assert all(torch.equal(a, b) for a, b in zip(first(pixels_BCHW), again(pixels_BCHW), strict=True))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_reader_that_learned_something_else_is_not_trusted(tmp_path, quick, monkeypatch):
    path = tmp_path / "reader.safetensors"
    load_drawing_reader(path)
    monkeypatch.setattr(drawing_reader, "STEPS", 7)
    with pytest.raises(ValueError, match="trained anew"):
        load_drawing_reader(path)


def test_a_file_that_is_no_reader_is_an_error_that_says_so(tmp_path):
    path = tmp_path / "reader.safetensors"
    path.write_bytes(b"PK nothing of the kind")
    with pytest.raises(ValueError, match="no judge of drawings"):
        load_drawing_reader(path)


def test_of_every_four_things_to_learn_from_one_is_no_drawing():
    images, labels = lesson(0, batch=16)
    assert len(images) == 16
    assert sum(SUBJECTS[subject] == NOTHING for subject, _, _ in labels) == 4


def test_what_is_no_drawing_is_no_original():
    garbage = [no_drawing("test", number) for number in range(40)]
    assert all(rgb.shape == (SIDE_PX, SIDE_PX, 3) and rgb.dtype == np.uint8 for rgb in garbage)
    assert all(
        not np.array_equal(rgb, some_picture("test", n, part)[1])
        for n, rgb in enumerate(garbage)
        for part in ("first", "second")
    )


def test_a_judge_that_sees_the_same_in_everything_is_found_out():
    """Right on few originals, wrong on whatever is no drawing."""
    star = Knowing("star", "blue", 3)
    assert 0 <= np.mean(right_on_originals(star, 60)) < 0.3
    assert all(taken_for_drawings(star, 10))
    assert not any(taken_for_drawings(Knowing(NOTHING, "blue", 1), 10))
    assert not any(right_as_others(Knowing(NOTHING, "blue", 1), 10))


def test_another_picture_differs_in_what_is_read():
    """A judge that reads every original right accepts none as another."""

    class Perfect(DrawingReader):
        def read(self, rgb):
            (labels,) = [labels_of(picture) for picture, drawn in originals if np.array_equal(rgb, drawn)]
            return tuple(-1 if label is None else label for label in labels)

    originals = [some_picture("test", number) for number in range(40)]
    assert all(right_on_originals(Perfect(), 40))
    assert not any(right_as_others(Perfect(), 40))


def test_the_judge_is_tested_where_something_was_drawn(bench_of, tmp_path):
    save_drawing_reader(DrawingReader(), tmp_path / "reader.safetensors")
    exam = drawn_exam(PictureKind.SHAPE, 0)
    drawn, mute = ToldAgent([Line(Cue.TYPED, "Here.", by_hand(STARS))]), ToldAgent([Line(Cue.TYPED, "Here.")])
    for agent, names in ((mute, []), (drawn, ["originals", "originals as other pictures", "anything"])):
        bench = bench_of(agent, reader=tmp_path / "reader.safetensors")
        series = Series(bench, "drawn", [typed(exam)], spoken=False)
        judge = JudgeOfDrawings(bench, [series])
        series.run()
        judge.run()
        rows = judge.rows()
        assert len(rows) == len(names)
        assert all(row.name.endswith(name) and row.verdict == "reported" for row, name in zip(rows, names, strict=True))
        assert all(row.low is not None and row.count == ORIGINALS for row in rows)
