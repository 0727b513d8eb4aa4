"""Exams in a closed loop: every kind can be held, and what the agent does in time is seen as it is."""

from dataclasses import replace

import numpy as np
import pytest

from model.training.data.clip import Split
from model.training.data.held_out import text_split
from model.training.evaluation.conduct import delay_ticks, is_prompt, talks_over
from model.training.evaluation.examining import Turn
from model.training.evaluation.exams import (
    DRAWN_KINDS,
    KINDS,
    NOT_TYPED,
    SEEN_KINDS,
    Exam,
    aloud,
    drawn_exam,
    seen_exam,
    typed,
    write_exam,
)
from model.training.evaluation.marking import mark_performance
from model.training.simulation.phrasings import is_held_out
from model.training.simulation.pictures import by_hand
from model.training.simulation.playwright import EXCHANGES
from model.training.simulation.script import AgentSpeaks, Picture, PictureKind, UserSpeaks
from streams.types import Pixels
from tests.model.training.evaluation.agent import ABLE, Cue, Line, ToldAgent, right_lines

PATIENT = 7  # ticks: longer than a pause for thought
ANSWER = AgentSpeaks(text="It is a garden.", keys=("garden",))
QUESTION = UserSpeaks(pieces=("What is behind the house?",), kind="test", pause_us=310_000)


def is_same(picture: Picture, rgb: Pixels) -> bool:
    """A judge of drawings that knows them by heart."""
    return np.array_equal(by_hand(picture), rgb)


def one_turn(bench_of, agent: ToldAgent, *lines) -> Turn:
    exam = Exam("test", 0, (), lines or (QUESTION, ANSWER), ())
    performance = bench_of(agent).examine(exam, True, 0)
    assert not performance.lost
    return performance.turns[0]


@pytest.mark.parametrize("kind", KINDS)
def test_who_does_what_was_expected_is_right_in_every_kind_of_spoken_exam(kind, bench_of):
    exam = aloud(write_exam(kind, 1))
    agent = ToldAgent(right_lines(exam), delay=PATIENT)
    mark = mark_performance(bench_of(agent).examine(exam, True, 0), is_same)
    assert mark.right, mark.why


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NOT_TYPED])
def test_who_does_what_was_expected_is_right_in_every_kind_of_typed_exam(kind, bench_of):
    exam = typed(write_exam(kind, 2))
    performance = bench_of(ToldAgent(right_lines(exam))).examine(exam, False, 0)
    mark = mark_performance(performance, is_same)
    assert mark.right, mark.why


@pytest.mark.parametrize("kind", ["fact", "see", "draw", "transcribe", "narrate", "say_again", "put_away"])
def test_who_says_something_else_is_wrong(kind, bench_of):
    exam = aloud(write_exam(kind, 1))
    lines = [Line(Cue.HEARD, text) for text in ("Bananas.", "Plums.", "Pears.", "Figs.", "Dates.", "Nuts.")]
    assert not mark_performance(bench_of(ToldAgent(lines, PATIENT)).examine(exam, True, 0), is_same).right


def test_every_kind_of_exchange_is_examined():
    assert {exchange.__name__ for exchange in EXCHANGES} <= set(KINDS)
    assert all(len(write_exam(kind, 0).lines) > 0 for kind in KINDS)


def test_requests_are_held_out_phrasings_and_differ_by_number():
    exams = [write_exam(kind, number) for kind in KINDS for number in range(3)]
    asked = [line for exam in exams for line in (*exam.setup, *exam.lines) if isinstance(line, UserSpeaks)]
    assert all(is_held_out(line.text) for line in asked if not line.transcribed)
    assert len({tuple(exam.lines) for exam in exams}) > 2 * len(KINDS)


@pytest.mark.parametrize("picture", SEEN_KINDS[:-1])
def test_pictures_of_each_kind_are_shown_and_asked_about(picture, bench_of):
    exam = seen_exam(picture, 0)
    agent = ToldAgent(right_lines(exam), PATIENT)
    performance = bench_of(agent).examine(exam, True, 0)
    assert mark_performance(performance, is_same).right
    assert any(window.frames for window in agent.windows)


@pytest.mark.parametrize("picture", DRAWN_KINDS)
def test_the_wrong_drawing_is_wrong(picture, bench_of):
    exam = drawn_exam(picture, 0)
    other = by_hand(Picture(PictureKind.COLOR, "grey", "grey"))
    lines = [Line(line.cue, line.text, other) for line in right_lines(exam)]
    assert not mark_performance(bench_of(ToldAgent(lines, PATIENT)).examine(exam, True, 0), is_same).right


def test_sentences_to_repeat_and_to_write_down_are_held_out():
    exams = [write_exam(kind, number) for kind in ("repeat", "transcribe") for number in range(8)]
    lines = [line for exam in exams for line in exam.lines]
    written = [line.text for line in lines if isinstance(line, UserSpeaks) and line.transcribed]
    repeated = [line.text for exam in exams[:8] for line in exam.lines if isinstance(line, AgentSpeaks)]
    assert len(written) >= 8
    assert len(set(repeated)) > 4
    assert all(text_split(text) is Split.EVAL for text in written + repeated)


def test_nobody_hesitates_in_writing():
    hesitant = UserSpeaks(pieces=("What is behind,", "the old house?"))
    (line, _) = typed(Exam("test", 0, (), (hesitant, ANSWER), ())).lines
    assert line.text == "What is behind the old house?"


def test_weights_that_lack_something_are_told_what():
    info = replace(ABLE, hears=False, sees=False)
    assert aloud(write_exam("see", 0)).lacks(info) == ("hears", "sees")
    assert aloud(write_exam("narrate", 0)).lacks(replace(ABLE, self_paced=False)) == ("self_paced",)
    assert typed(write_exam("check_in", 0)).lacks(replace(ABLE, self_paced=False)) == ()
    assert aloud(write_exam("draw", 0)).lacks(ABLE) == ()


# --- in time ----------------------------------------------------------------------------------------------------------


def test_an_answer_after_the_next_tick_of_silence_is_prompt(bench_of):
    turn = one_turn(bench_of, ToldAgent([Line(Cue.HEARD, "A garden.")], delay=1))
    assert delay_ticks(turn, speaks=True) == 2
    assert delay_ticks(turn, speaks=False) == 1
    assert is_prompt(turn, speaks=True)
    assert talks_over(turn)[0] == 0


def test_an_answer_after_a_second_is_late(bench_of):
    turn = one_turn(bench_of, ToldAgent([Line(Cue.HEARD, "A garden.")], delay=4))
    assert delay_ticks(turn, speaks=True) == 5
    assert not is_prompt(turn, speaks=True)


def test_who_answers_before_the_user_is_done_is_no_prompt_answer_and_talks_over(bench_of):
    turn = one_turn(bench_of, ToldAgent([Line(Cue.AT_ONCE, "A garden.", sound_ticks=3)], stops=False))
    assert not is_prompt(turn, speaks=True)
    over, spoken = talks_over(turn)
    assert over == 3
    assert 5 <= spoken <= 8


def test_who_never_answers_is_waited_for_and_is_not_prompt(bench_of):
    turn = one_turn(bench_of, ToldAgent([]))
    assert turn.said == ""
    assert delay_ticks(turn, speaks=True) is None
    assert not is_prompt(turn, speaks=True)


def test_an_answer_in_a_pause_for_thought_is_too_early(bench_of):
    hesitant = UserSpeaks(pieces=("What is behind,", "behind the old house?"), kind="test", thinks_us=1_200_000)
    turn = one_turn(bench_of, ToldAgent([Line(Cue.HEARD, "A garden.")], delay=1), hesitant, ANSWER)
    assert delay_ticks(turn, speaks=True) < 0
    assert not is_prompt(turn, speaks=True)


def test_a_session_that_breaks_off_is_a_wrong_answer(bench_of):
    exam = Exam("test", 0, (), (QUESTION, ANSWER), ())
    performance = bench_of(ToldAgent([], fails_at=3)).examine(exam, True, 0)
    assert performance.lost == "told to fail"
    assert not mark_performance(performance, is_same).right
