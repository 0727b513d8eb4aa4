import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.tokenizers.image_vq import ImageVQ, ImageVQConfig, tiny_image_vq
from model.training.data.named_pictures import NamedPicture
from model.training.stages.image_tokenizer import (
    ImageTokenizerConfig,
    ImageTokenizerStage,
    pixels_of,
    psnr_db,
    usage,
)

TOKENIZER: ImageVQConfig = dataclasses.replace(tiny_image_vq(), side_px=32, codebook_size=32)
STEPS = 25


def pictures(num: int) -> list[NamedPicture]:
    """Discs of different colours."""
    rows, columns = np.mgrid[:40, :40] - 20
    found = []
    for number in range(num):
        rgba = np.zeros((40, 40, 4), np.uint8)
        rgba[rows**2 + columns**2 < 200] = (*np.random.default_rng(number).integers(0, 256, 3), 255)
        found.append(NamedPicture(f"disc-{number}", "flat", rgba))
    return found


def stage() -> ImageTokenizerStage:
    config = ImageTokenizerConfig(pictures_per_batch=8, scene_share=0.5)
    return ImageTokenizerStage(TOKENIZER, config, pictures(4), pictures(2))


def test_a_short_run_brings_pictures_closer_and_exports_the_tokenizer(tmp_path):
    learning = stage()
    before = learning.evaluate()["psnr_db_named"]
    optimizer = torch.optim.AdamW(learning.tokenizer.parameters(), 3e-3)
    for step in range(STEPS):
        optimizer.zero_grad()
        learning.loss("draw", learning.batch(step), step).total.backward()
        optimizer.step()
    learning.tokenizer.eval()
    assert learning.evaluate()["psnr_db_named"] > before + 1.0
    learning.export(tmp_path)
    served = ImageVQ(TOKENIZER)
    served.load_state_dict(load_file(tmp_path / "image_vq.safetensors"))
    pixels = pixels_of([np.full((32, 32, 3), 99, np.uint8)])
    assert torch.equal(served.encode(pixels), learning.tokenizer.encode(pixels))


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    first, second = stage(), stage()
    torch.testing.assert_close(first.batch(3), second.batch(3), rtol=0, atol=0)
    assert not torch.equal(first.batch(3), first.batch(4))
    assert -1.0 <= first.batch(3).min() < first.batch(3).max() <= 1.0


def test_codes_start_where_the_vectors_are():
    learning = stage()
    with torch.no_grad():
        out = learning.tokenizer(learning.batch(0))
    assert usage(out.ids_BHW.flatten())[1] > TOKENIZER.codebook_size / 2
    assert out.commitment_loss < 0.5 * learning.tokenizer.encoder(learning.batch(0)).square().mean()


def test_neighbours_are_searched_in_full_precision_under_autocast():
    learning = stage()
    learning.tokenizer.eval()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        out = learning.tokenizer(learning.batch(0))
    assert out.commitment_loss.dtype == torch.float32


def test_loss_is_the_sum_of_what_is_shown_and_weighs_a_picture_as_one():
    loss = stage().loss("draw", stage().batch(0), 0)
    assert loss.num_units == 8
    assert {"square", "edges", "commitment"} <= set(loss.parts)
    assert all(torch.isfinite(part) for part in loss.parts.values())


def test_peak_signal_to_noise_ratio_of_a_known_error():
    one_level = torch.tensor([(2 / 255) ** 2])
    assert psnr_db(one_level).item() == pytest.approx(48.13, abs=0.01)  # 20 log10(255)


def test_even_use_of_codes_has_the_entropy_of_their_number():
    assert usage(torch.arange(16).repeat(3)) == (pytest.approx(4.0), 16)
    assert usage(torch.zeros(9, dtype=torch.int64)) == (0.0, 1)
