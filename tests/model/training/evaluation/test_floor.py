"""What takes no listening is seen to take none."""

import pytest

from model.training.evaluation.exams import Exam, typed, write_exam
from model.training.evaluation.floor import Floor, is_passed_by, something_of_everything
from model.training.evaluation.marking import MOST_WORDS
from model.training.evaluation.series import typed_series
from model.training.simulation.script import AgentSpeaks, UserSpeaks
from tests.model.training.evaluation.agent import ToldAgent

SUMS = ("add", "subtract", "multiply", "plus_more")


def exam(kind: str, asked: str, *keys: str) -> Exam:
    return typed(Exam(kind, 0, (), (UserSpeaks(pieces=(asked,), kind=kind), AgentSpeaks(text="", keys=keys)), ()))


def test_an_exam_is_passed_by_what_holds_its_keys_whatever_is_asked():
    thanks = exam("thanks", "Cheers.", "welcome|pleasure")
    assert is_passed_by(thanks, lambda asked: "You are welcome.")
    assert not is_passed_by(thanks, lambda asked: "Hello.")
    assert not is_passed_by(thanks, lambda asked: asked)


def test_the_best_text_is_told_with_its_share(bench_of):
    series = typed_series(bench_of(ToldAgent([])), 45)
    floor = Floor(series)
    floor.run()
    assert floor.rows() == []  # nothing to compare with yet
    series.run()
    floor.run()
    fixed, echoed = floor.rows()
    assert (fixed.verdict, echoed.verdict) == ("reported", "reported")
    assert fixed.count == 45
    assert 0.1 < fixed.figure < 0.4
    assert echoed.figure < 0.1


def test_something_of_everything_is_no_longer_than_an_answer_may_be(bench_of):
    exams = typed_series(bench_of(ToldAgent([])), 45).exams
    assert 8 <= len(something_of_everything(exams).split()) <= MOST_WORDS


@pytest.mark.parametrize("kind", SUMS)
def test_no_sum_is_passed_by_saying_it_back_in_other_words(kind):
    exams = [typed(write_exam(kind, number)) for number in range(30)]
    assert not any(is_passed_by(sum_, lambda asked: f"You say: {asked} Hm.") for sum_ in exams)


@pytest.mark.parametrize("kind", ["yes_no_fact", "what_are_you", "favorite", "give_name", "repeat"])
def test_the_question_said_back_passes_nothing(kind):
    exams = [typed(write_exam(kind, number)) for number in range(10)]
    assert not any(is_passed_by(exam_, lambda asked: asked) for exam_ in exams)
