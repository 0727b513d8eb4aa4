import cv2
import numpy as np
import pytest

from model.training.data.scenes import COLOURS, MAX_COUNT, PALETTE, SHAPES, WORDS, Scene, SceneKind, outline, scene


def series(num: int, seed: int = 5) -> list[Scene]:
    return [scene(index, seed, side_px=96) for index in range(num)]


def drawn_area(one: Scene) -> np.ndarray:
    """Pixels that are nearer to the named colour than to the ground's."""
    levels = one.rgb.astype(np.int32)
    ink, ground = (np.square(levels - PALETTE[name]).sum(-1) for name in (one.colour, one.ground))
    return (ink < ground).astype(np.uint8)


def test_scene_is_the_same_whenever_it_is_asked_for():
    assert np.array_equal(scene(3, 1).rgb, scene(3, 1).rgb)
    assert not np.array_equal(scene(3, 1).rgb, scene(4, 1).rgb)
    assert not np.array_equal(scene(3, 1).rgb, scene(3, 2).rgb)


def test_count_equals_the_shapes_that_are_drawn():
    for one in series(120):
        if one.kind is SceneKind.SHAPES:
            assert cv2.connectedComponents(drawn_area(one))[0] - 1 == one.count, one


def test_scene_holds_its_two_colours_only():
    for one in series(40):
        inside = drawn_area(one).astype(bool)
        for area, name in ((inside, one.colour), (~inside, one.ground)):
            assert np.abs(np.median(one.rgb[area], axis=0) - PALETTE[name]).max() <= 20, (one, name)


def test_nothing_touches_the_edge():
    for one in series(80):
        area = drawn_area(one)
        area[1:-1, 1:-1] = 0
        assert not area.any(), one


def test_all_there_is_to_name_occurs():
    drawn = series(600)
    assert {one.shape for one in drawn} >= set(SHAPES)
    assert {one.colour for one in drawn} == {one.ground for one in drawn} == set(COLOURS)
    assert {one.count for one in drawn} == set(range(1, MAX_COUNT + 1))
    assert {one.kind for one in drawn} == set(SceneKind)


def test_writing_has_a_text_and_shapes_have_none():
    for one in series(60):
        assert (one.text == "") == (one.shape is not None)
        if one.kind is SceneKind.WORD:
            assert one.text.lower() in WORDS
        elif one.kind is SceneKind.DIGIT:
            assert one.text.isdigit()


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_lie_within_the_unit_circle_and_differ(shape):
    corners = outline(shape)
    assert np.linalg.norm(corners, axis=1).max() <= 1.01
    areas = {round(cv2.contourArea(outline(other).astype(np.float32)), 3) for other in SHAPES}
    assert len(areas) == len(SHAPES) - 1  # the ring's outline is the circle's; its hole is drawn besides
