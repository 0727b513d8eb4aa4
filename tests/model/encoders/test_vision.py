import dataclasses

import pytest
import torch

from model.encoders.vision import VisionEncoder, light_vit, seed_vit, small_vit, tiny_vit
from model.init import init_weights


@pytest.fixture(scope="module")
def encoder() -> VisionEncoder:
    built = VisionEncoder(tiny_vit(d_out=24))
    init_weights(built, 0)
    return built.eval()


def pictures(batch: int) -> torch.Tensor:
    return 2 * torch.rand(batch, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 1


def test_picture_becomes_a_few_vectors_of_the_decoders_width(encoder):
    assert encoder.encode(pictures(2)).shape == (2, 2, 24)


def test_live_and_training_passes_agree_within_rounding(encoder):
    with torch.no_grad():
        torch.testing.assert_close(encoder(pictures(3)), encoder.encode(pictures(3)))


def test_picture_gets_the_same_bits_alone_and_among_others(encoder):
    features = encoder.encode(pictures(3))
    for row in range(3):
        assert torch.equal(encoder.encode(pictures(3)[row : row + 1])[0], features[row])


def test_every_patch_and_its_place_matter(encoder):
    pixels = pictures(1)
    features = encoder.encode(pixels)
    for row in range(0, 16, 4):
        changed = pixels.clone()
        changed[..., row : row + 4, :4] *= -1
        assert not torch.allclose(encoder.encode(changed), features)
    assert not torch.allclose(encoder.encode(pixels.roll(4, dims=-1)), features)


def test_gradients_reach_every_parameter():
    encoder = VisionEncoder(tiny_vit(d_out=8))
    init_weights(encoder, 0)
    encoder(pictures(2)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_picture_of_another_size_is_refused(encoder):
    with pytest.raises(ValueError, match=r"\[1, 3, 20, 16\]"):
        encoder.encode(torch.zeros(1, 3, 20, 16))


# --- the stem ---


def test_stem_is_read_by_every_patch_and_learns():
    encoder = VisionEncoder(dataclasses.replace(tiny_vit(d_out=8), stem_strides=(2,), stem_widths=(8,)))
    init_weights(encoder, 0)
    features = encoder(pictures(2))
    assert features.shape == (2, 2, 8)
    features.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    for row in range(2):
        assert torch.equal(encoder.encode(pictures(2)[row : row + 1])[0], encoder.encode(pictures(2))[row])


@pytest.mark.parametrize(("strides", "widths"), [((2,), ()), ((2,), (12,)), ((), (8,))])
def test_stem_needs_a_width_of_whole_groups_for_each_stride(strides, widths):
    with pytest.raises(ValueError, match="the stem needs a width for each stride"):
        dataclasses.replace(tiny_vit(8), stem_strides=strides, stem_widths=widths)


def test_stem_must_divide_the_patches():
    with pytest.raises(ValueError, match="do not divide patches of 4 px"):
        dataclasses.replace(tiny_vit(8), stem_strides=(3,), stem_widths=(8,))


# --- presets ---


def test_seed_encoder_has_about_300_million_parameters_and_a_projection_of_8():
    with torch.device("meta"):
        encoder = VisionEncoder(seed_vit(d_out=8192))
    projection = sum(p.numel() for p in encoder.projection.parameters())
    assert projection == 1024 * 8192
    total = sum(p.numel() for p in encoder.parameters()) - projection
    assert total == pytest.approx(300e6, rel=0.03)
    config = encoder.config
    assert (config.width, config.num_layers, config.num_heads, config.patch_px, config.side_px) == (
        1024,
        24,
        16,
        14,
        224,
    )


@pytest.mark.parametrize("preset", [seed_vit, small_vit, light_vit, tiny_vit])
def test_frame_costs_at_most_sixteen_positions(preset):
    assert preset(64).num_positions <= 16


def test_patches_must_tile_the_picture():
    with pytest.raises(ValueError, match="patches of 5 px do not tile a side of 16 px"):
        dataclasses.replace(tiny_vit(8), patch_px=5)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads do not divide a width of 16"):
        dataclasses.replace(tiny_vit(8), num_heads=3)
