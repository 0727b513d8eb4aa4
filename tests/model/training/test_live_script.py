"""The codes by which the agent draws: where a drawing is flat, they are those of a plain surface."""

import numpy as np
import pytest
import torch

from model.network import Network
from model.pixels import Fit, to_pixels
from model.presets import tiny
from model.tokenizers.image_vq import ImageVQ
from model.training.live_script import drawn_codes


@pytest.fixture(scope="module")
def vq() -> ImageVQ:
    network = Network(tiny(), with_decoder=False)
    network.init(seed=0)
    network.prepare_for_inference()
    assert network.image_vq is not None
    return network.image_vq


def picture(vq: ImageVQ, top: int, color: tuple[int, int, int]) -> np.ndarray:
    """White, with a bar of one color from `top` cells down, one cell high, that ends within a cell."""
    side, cell = vq.config.side_px, vq.config.side_px // vq.config.grid
    rgb = np.full((side, side, 3), 255, np.uint8)
    rgb[top * cell : (top + 1) * cell, : 2 * cell + cell // 2] = color
    return rgb


def test_flat_cells_of_one_color_have_one_code_whatever_else_is_drawn(vq):
    red, blue = (drawn_codes(vq, picture(vq, top, color)) for top, color in ((1, (200, 0, 0)), (2, (0, 0, 200))))
    white = red[0, 0]
    assert (red[[0, *range(2, vq.config.grid)]] == white).all()
    assert (blue[[0, 1, *range(3, vq.config.grid)]] == white).all()
    assert red[1, 0] == red[1, 1]


def test_where_it_is_not_flat_the_tokenizer_decides(vq):
    rgb = np.random.default_rng(0).integers(0, 256, (vq.config.side_px, vq.config.side_px, 3), np.uint8)
    own = vq.encode(to_pixels(rgb, vq.config.side_px, Fit.PAD)[None])[0]
    assert torch.equal(drawn_codes(vq, rgb), own)
