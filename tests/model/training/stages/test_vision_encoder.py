import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.encoders.vision import VisionEncoder, tiny_vit
from model.training.data.frames import NO_ANSWER, Frame, Question
from model.training.stages import vision_encoder
from model.training.stages.vision_encoder import VisionEncoderConfig, VisionEncoderStage, gather

ENCODER = dataclasses.replace(tiny_vit(d_out=16), stem_strides=(2,), stem_widths=(8,))
STEPS = 25


@pytest.fixture
def stage(monkeypatch) -> VisionEncoderStage:
    monkeypatch.setattr(vision_encoder, "NUM_HELD_OUT", 64)
    return VisionEncoderStage(ENCODER, VisionEncoderConfig(frames_per_batch=16), [])


def test_a_short_run_reads_better_and_exports_the_encoder(stage, tmp_path):
    before = stage.evaluate()["loss"]
    optimizer = torch.optim.AdamW(stage.seer.parameters(), 3e-3)
    for step in range(STEPS):
        optimizer.zero_grad()
        stage.loss("see", stage.batch(step), step).total.backward()
        optimizer.step()
    assert stage.evaluate()["loss"] < before - 0.2
    stage.export(tmp_path)
    served = VisionEncoder(ENCODER)
    served.load_state_dict(load_file(tmp_path / "vision.safetensors"))
    pixels = stage.batch(0).pixels_BCHW.contiguous()
    torch.testing.assert_close(served.encode(pixels), stage.seer.encoder.encode(pixels))


def test_a_batch_is_the_same_whenever_it_is_asked_for(stage):
    first, again, other = stage.batch(3), stage.batch(3), stage.batch(4)
    assert torch.equal(first.pixels_BCHW, again.pixels_BCHW)
    assert torch.equal(first.labels_BQ, again.labels_BQ)
    assert not torch.equal(first.pixels_BCHW, other.pixels_BCHW)


def test_questions_without_an_answer_cost_nothing(stage):
    batch = stage.batch(0)
    batch.labels_BQ[:] = NO_ANSWER
    loss = stage.loss("see", batch, 0)
    assert [float(loss.parts[question.value].detach()) for question in Question] == [0.0] * len(Question)
    torch.testing.assert_close(loss.total, loss.parts["thumbnail"])


def test_figures_are_shares_of_the_questions_asked(stage):
    figures = stage.evaluate()
    loss = figures.pop("loss")
    asked = set(Question) - {Question.PICTURE}  # there are no pictures here, so nobody asked
    assert loss > 0
    assert set(figures) == {f"{question}_accuracy" for question in asked}
    assert all(0.0 <= share <= 1.0 for share in figures.values())


def test_frames_of_one_size_become_a_batch():
    frames = [Frame(np.full((8, 8, 3), level, np.uint8), {Question.COUNT: "2"}) for level in (0, 255)]
    batch = gather(frames)
    assert batch.pixels_BCHW.shape == (2, 3, 8, 8)
    assert (batch.pixels_BCHW.amin(), batch.pixels_BCHW.amax()) == (-1.0, 1.0)
    assert (batch.labels_BQ != NO_ANSWER).sum(dim=1).tolist() == [1, 1]
