from types import SimpleNamespace

import cv2
import pytest
import torch

from model.encoders.vision import tiny_vit
from model.init import init_weights
from model.training.data.frames import Question, frame
from model.training.data.scenes import COLOURS, SHAPES
from model.training.evaluate_pictures import Table, answered, median_ms, round_trip, write_grid
from model.training.shape_reader import ShapeReader, labels_of, shape_scenes, train_shape_reader
from model.training.stages.vision_encoder import Seer


class CopyingTokenizer:
    """Loses nothing, or everything."""

    config = SimpleNamespace(side_px=32)

    def __init__(self, blank: bool = False) -> None:
        self._keep = 0.0 if blank else 1.0

    def encode(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        return pixels_BCHW

    def decode(self, ids: torch.Tensor) -> torch.Tensor:
        return self._keep * ids


class KnowingJudge:
    """Names what the scenes hold, as long as it sees anything."""

    def __init__(self, num: int) -> None:
        self._truth = labels_of(shape_scenes(num, 0, 3, 32))

    def read(self, pixels_BCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sees_B = pixels_BCHW.abs().sum((1, 2, 3)) > 0
        return tuple(torch.where(sees_B, labels_B, -1) for labels_B in self._truth)


@pytest.mark.parametrize(("blank", "left"), [(False, 100.0), (True, 0.0)])
def test_round_trip_is_judged_against_what_was_drawn(blank, left):
    table = round_trip(CopyingTokenizer(blank), KnowingJudge(12), 12)
    assert table.rows["originals"] == (100.0, 100.0, 100.0)
    assert table.rows["after the round trip"] == (left, left, left)
    assert table.rows["after it, of those read rightly before"] == (left, left, left)


def test_judge_learns_from_scenes_with_shapes_only():
    scenes = shape_scenes(6, 0, 2, 24)
    assert all(drawn.shape is not None for drawn in scenes)
    shapes, colours = labels_of(scenes)
    assert [SHAPES[number] for number in shapes] == [drawn.shape for drawn in scenes]
    assert [COLOURS[number] for number in colours] == [drawn.colour for drawn in scenes]


def test_trained_judge_names_a_shape_and_a_colour_for_each_picture():
    judge = train_shape_reader(24, steps=2, batch=2)
    shapes, colours = judge.read(torch.zeros(3, 3, 24, 24))
    assert shapes.shape == colours.shape == (3,)
    assert not judge.training
    assert isinstance(judge, ShapeReader)


def test_answers_are_counted_for_the_questions_that_were_asked():
    seer = Seer(tiny_vit(d_out=8))
    init_weights(seer, 0)
    frames = [frame(index, 0, [], 16) for index in range(30)]
    rows = answered(seer.eval(), frames)
    assert rows[Question.KIND][0] == 30
    assert Question.PICTURE not in rows
    assert all(0.0 <= right <= 100.0 for _, right in rows.values())


def test_grid_holds_rows_of_originals_above_what_came_back(tmp_path):
    pairs = [(torch.ones(3, 4, 4), -torch.ones(3, 4, 4))] * 16
    write_grid(tmp_path / "grid.png", pairs)
    grid = cv2.imread(str(tmp_path / "grid.png"))
    assert grid.shape == (8, 64, 3)
    assert (grid[:4] == 255).all()
    assert (grid[4:] == 0).all()


def test_table_is_markdown_and_figures_by_name():
    table = Table("Kind", ("a", "b"), {"x": (1.0, 22.345)})
    assert table.markdown() == "| Kind | a | b |\n|---|---|---|\n| x | 1 | 22.34 |"
    assert table.by_name() == {"x": {"a": 1.0, "b": 22.345}}


def test_time_of_a_call_is_measured_as_often_as_asked():
    calls = []
    assert median_ms(lambda: calls.append(1), repeats=5) >= 0.0
    assert len(calls) == 5
