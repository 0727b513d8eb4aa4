"""Stepwise internalization on the tiny preset: the schedule, and sums that are solved without any of their working."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.presets import tiny
from model.training.arithmetic import addition, sum_of
from model.training.config import LoopConfig, Schedule
from model.training.loop import run
from model.training.packed_rows import RowsConfig
from model.training.registry import Setup
from model.training.stages.internalize import InternalizeConfig, InternalizeStage
from streams.types import Source

# Role names of one letter: a sum is then mostly sum.
MODEL = replace(tiny(), chat=replace(tiny().chat, user="u", assistant="a"))
SETUP = Setup(MODEL, Path("nowhere"), torch.device("cpu"))
LOOP = LoopConfig(
    steps=500, seed=1, learning_rate=3e-3, warmup_steps=20, schedule=Schedule.LINEAR_TAIL, bf16=False,
    evaluate_every=180, checkpoint_every=1_000, log_every=1_000,
)  # fmt: skip
CONFIG = InternalizeConfig(
    loop=LOOP, rows=RowsConfig(3, 128), digits=2, base=4, explicit_batches=180, batches_per_removal=120, num_held_out=64
)


def said(stage: InternalizeStage, number: int, num_removed: int) -> str:
    """What the model is taught to answer."""
    sample = stage.sample(addition(number, 3, 10, held_out=False), num_removed)
    return bytes(sample.text_T[sample.text_weight_T > 0][:-1].tolist()).decode()


def test_the_working_adds_from_the_right_and_the_answer_is_read_from_the_left():
    problem = sum_of(47, 85, num_digits=2, base=10)
    assert (problem.question, problem.steps, problem.answer) == ("47+85", ("21 ", "31 "), "=132")


@given(st.integers(0, 10**6), st.booleans())
def test_every_problem_is_a_true_sum_in_its_base(number: int, held_out: bool):
    problem = addition(number, 3, 7, held_out)
    left, right = problem.question.split("+")
    assert int(left, 7) + int(right, 7) == int(problem.answer[1:], 7)


def test_no_problem_is_both_learned_and_held_out():
    learned = {addition(number, 2, 4, held_out=False).question for number in range(500)}
    held_out = {addition(number, 2, 4, held_out=True).question for number in range(500)}
    assert len(learned) > 150
    assert len(held_out) > 20
    assert not learned & held_out


def test_steps_go_from_the_left_until_only_the_answer_is_left():
    stage = InternalizeConfig(digits=3).build(SETUP)
    whole = said(stage, 5, 0)
    steps, answer = whole.split("=")
    assert len(steps.split()) == 3
    assert [said(stage, 5, removed) for removed in (1, 2, 3)] == [whole[3:], whole[6:], f"={answer}"]


def test_the_schedule_removes_one_step_after_another():
    config = InternalizeConfig(digits=3, explicit_batches=10, batches_per_removal=5)
    assert [config.num_removed(batch) for batch in (0, 9, 10, 14, 15, 20, 1000)] == [0, 0, 1, 1, 2, 3, 3]


def test_now_and_then_a_problem_loses_more_steps_than_the_schedule_says():
    stage = InternalizeConfig(digits=3, smoothing=1.0, explicit_batches=0, base=10).build(SETUP)
    rows = stage.batch(0)
    lengths = {
        int(((rows.sample_BT == n) & (rows.source_BT == Source.PRODUCED)).sum()) for n in range(rows.num_samples)
    }
    closed = len("=1234") + 2
    assert lengths == {closed, closed + 3, closed + 6}


def test_a_schedule_that_would_leave_steps_is_refused():
    with pytest.raises(ValueError, match="would still be written"):
        InternalizeConfig(loop=replace(LOOP, steps=100)).build(SETUP)


def test_sums_are_still_solved_when_all_of_their_working_is_gone(tmp_path: Path):
    stage = CONFIG.build(SETUP)
    assert stage.evaluate()["accuracy"] == 0.0
    report = run(stage, LOOP, tmp_path)
    assert report.figures["accuracy"] > 0.8
    assert report.figures["accuracy_with_working"] < 0.2  # the model does not even begin to write it
