import dataclasses

import cv2
import numpy as np
import pytest
import torch

from model.init import init_weights
from model.pixels import Fit, to_pixels, to_rgb
from model.tokenizers.image_vq import (
    ImageVQ,
    light_image_vq,
    omniweave_image_vq,
    seed_image_vq,
    small_image_vq,
    tiny_image_vq,
)
from streams.video import decode_image


@pytest.fixture(scope="module")
def tokenizer() -> ImageVQ:
    built = ImageVQ(tiny_image_vq())
    init_weights(built, 0)
    return built.eval()


def pictures(batch: int, side_px: int = 16) -> torch.Tensor:
    return 2 * torch.rand(batch, 3, side_px, side_px, generator=torch.Generator().manual_seed(0)) - 1


def test_picture_is_a_grid_of_ids_and_back(tokenizer):
    ids = tokenizer.encode(pictures(2))
    pixels = tokenizer.decode(ids)
    assert ids.shape == (2, 4, 4)
    assert 0 <= ids.min() <= ids.max() < 64
    assert pixels.shape == (2, 3, 16, 16)
    assert -1.0 <= pixels.min() < pixels.max() <= 1.0


def test_training_pass_agrees_with_encode_and_decode(tokenizer):
    with torch.no_grad():
        out = tokenizer(pictures(3))
    ids = tokenizer.encode(pictures(3))
    assert torch.equal(out.ids_BHW, ids)
    torch.testing.assert_close(out.pixels_BCHW.clamp(-1, 1), tokenizer.decode(ids), atol=1e-5, rtol=0)


def test_picture_gets_the_same_bits_alone_and_among_others(tokenizer):
    pixels = pictures(3)
    ids = tokenizer.encode(pixels)
    drawn = tokenizer.decode(ids)
    for row in range(3):
        assert torch.equal(tokenizer.encode(pixels[row : row + 1])[0], ids[row])
        assert torch.equal(tokenizer.decode(ids[row : row + 1])[0], drawn[row])


def test_other_ids_draw_another_picture(tokenizer):
    ids = tokenizer.encode(pictures(1))
    assert not torch.equal(tokenizer.decode(ids), tokenizer.decode((ids + 1) % 64))


def test_gradients_reach_every_parameter():
    tokenizer = ImageVQ(tiny_image_vq())
    init_weights(tokenizer, 0)
    out = tokenizer(pictures(2))
    (out.pixels_BCHW.square().mean() + out.commitment_loss).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tokenizer.parameters())


def test_a_few_training_steps_lower_the_error():
    tokenizer = ImageVQ(tiny_image_vq())
    init_weights(tokenizer, 0)
    optimiser = torch.optim.Adam(tokenizer.parameters(), 3e-3)
    colours = pictures(8)[:, :, :1, :1].expand(-1, -1, 16, 16)
    errors = []
    for _ in range(40):
        out = tokenizer(colours)
        error = (out.pixels_BCHW - colours).square().mean()
        optimiser.zero_grad()
        (error + out.commitment_loss).backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]


def test_picture_of_another_size_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"\[1, 3, 8, 8\]"):
        tokenizer.encode(pictures(1, 8))


def test_grid_of_another_size_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"\[1, 3, 4\]"):
        tokenizer.decode(torch.zeros(1, 3, 4, dtype=torch.int64))


def test_id_out_of_the_codebook_is_refused(tokenizer):
    with pytest.raises(ValueError, match="got 64"):
        tokenizer.decode(torch.full((1, 4, 4), 64))


# --- files ---


@pytest.mark.parametrize(
    "levels",
    [
        np.full((5, 40), 200, np.uint8),
        np.full((40, 5, 3), 90, np.uint8),
        np.full((7, 7, 4), 128, np.uint8),
        np.full((33, 20), 40_000, np.uint16),
        np.zeros((1, 1), np.uint8),
    ],
    ids=["grey", "rgb", "rgba", "16-bit", "one pixel"],
)
@pytest.mark.parametrize("fit", list(Fit))
def test_picture_file_of_any_size_and_mode_becomes_ids(tokenizer, levels, fit):
    file = cv2.imencode(".png", levels)[1].tobytes()
    ids = tokenizer.encode(to_pixels(decode_image(file), tokenizer.config.side_px, fit)[None])
    assert to_rgb(tokenizer.decode(ids)[0]).shape == (16, 16, 3)


def test_picture_file_that_is_cut_off_never_gets_as_far_as_ids():
    file = cv2.imencode(".png", np.arange(3000, dtype=np.uint8).reshape(25, 40, 3))[1].tobytes()
    with pytest.raises(ValueError, match="picture"):
        decode_image(file[: len(file) // 2])


# --- presets ---


@pytest.mark.parametrize(
    ("config", "grid", "codebook_size"),
    [
        (light_image_vq(), 12, 4096),
        (small_image_vq(), 16, 4096),
        (seed_image_vq(), 128, 65_536),
        (omniweave_image_vq(), 16, 16_384),
    ],
    ids=["light", "small", "seed", "omniweave"],
)
def test_presets_have_the_grids_they_name(config, grid, codebook_size):
    assert (config.grid, config.num_ids, config.codebook_size) == (grid, grid**2, codebook_size)


@pytest.mark.parametrize(
    "config",
    [tiny_image_vq(), light_image_vq(), seed_image_vq(), omniweave_image_vq(), small_image_vq()],
    ids=lambda c: str(c.side_px),
)
def test_networks_of_all_presets_end_at_their_grids(config):
    with torch.device("meta"):
        tokenizer = ImageVQ(config)
        z = tokenizer.encoder(torch.empty(1, 3, config.side_px, config.side_px))
        pixels = tokenizer.decoder(z)
    assert z.shape == (1, config.code_dim, config.grid, config.grid)
    assert pixels.shape == (1, 3, config.side_px, config.side_px)


def test_omniweave_tokenizer_has_200_to_400_million_parameters():
    with torch.device("meta"):
        tokenizer = ImageVQ(omniweave_image_vq())
    assert 200e6 <= sum(p.numel() for p in tokenizer.parameters()) <= 400e6


def test_strides_must_divide_the_side():
    with pytest.raises(ValueError, match="do not divide a side of 10 px"):
        dataclasses.replace(tiny_image_vq(), side_px=10)


def test_every_stride_needs_a_width():
    with pytest.raises(ValueError, match=r"widths \(8,\)"):
        dataclasses.replace(tiny_image_vq(), widths=(8,))
