import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.pixels import Fit, to_pixels, to_rgb


def solid(height: int, width: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.sampled_from(Fit))
def test_any_size_becomes_the_asked_square_within_range(height, width, side_px, fit):
    pixels = to_pixels(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8), side_px, fit)
    assert pixels.shape == (3, side_px, side_px)
    assert pixels.dtype == torch.float32
    assert -1.0 <= pixels.min() <= pixels.max() <= 1.0


def test_picture_of_the_right_size_survives_the_round_trip():
    rgb = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    assert np.array_equal(to_rgb(to_pixels(rgb, 16, Fit.CROP)), rgb)


def test_crop_keeps_the_middle():
    rgb = solid(8, 24, 0)
    rgb[:, 8:16] = 255
    assert torch.equal(to_pixels(rgb, 8, Fit.CROP), torch.ones(3, 8, 8))


def test_pad_keeps_everything_between_grey_bars():
    pixels = to_pixels(solid(8, 16, 255), 16, Fit.PAD)
    assert torch.equal(pixels[:, 4:12], torch.ones(3, 8, 16))
    assert torch.equal(pixels[:, :4], torch.zeros(3, 4, 16))
    assert torch.equal(pixels[:, 12:], torch.zeros(3, 4, 16))


def test_sliver_still_shows_in_padding():
    assert to_pixels(solid(1, 4000, 255), 16, Fit.PAD).max() == 1.0


def test_read_only_and_mirrored_pictures_are_taken():
    rgb = np.random.default_rng(2).integers(0, 256, (8, 8, 3), np.uint8)
    rgb.setflags(write=False)
    assert torch.equal(to_pixels(rgb[:, ::-1], 8, Fit.CROP), to_pixels(rgb, 8, Fit.CROP).flip(-1))


@pytest.mark.parametrize(
    ("rgb", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4), np.uint8), r"\[4, 4\]"),
        (np.zeros((4, 4, 4), np.uint8), r"\[4, 4, 4\]"),
        (np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\]"),
    ],
)
def test_what_is_not_a_picture_is_refused_with_its_shape(rgb, message):
    with pytest.raises(ValueError, match=message):
        to_pixels(rgb, 8, Fit.CROP)


def test_drawn_pixels_out_of_range_are_clamped():
    assert to_rgb(torch.tensor([2.0, -3.0, 0.0]).view(3, 1, 1)).tolist() == [[[255, 0, 128]]]
