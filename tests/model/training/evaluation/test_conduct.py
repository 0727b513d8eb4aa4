import numpy as np
import pytest

from model.training.evaluation.conduct import LONG_TICKS, after_answer, goes_on, starts, stops, talks_over
from model.training.evaluation.examining import Turn
from model.training.evaluation.live import Moment

SOUND = np.zeros(6_000, np.float32)


def moments(track: str, user: str = "") -> tuple[Moment, ...]:
    """`s` is a tick of sound, `t` one of text, anything else silence; `u` where the user speaks."""
    spoken = user.ljust(len(track))
    return tuple(
        Moment(tick, spoken[tick] == "u", "word" if what == "t" else "", SOUND if what == "s" else None)
        for tick, what in enumerate(track)
    )


def test_ticks_are_counted_in_which_both_speak():
    assert talks_over(Turn("", "", None, moments("..sss.", "uuuu"))) == (2, 4)


def test_writing_is_no_speech():
    assert talks_over(Turn("", "", None, moments("tttt", "uuuu"))) == (0, 4)


@pytest.mark.parametrize(
    ("track", "stopped"),
    [
        ("sss......", True),
        ("ssss.....", True),  # cut into within tick 2: what is made in ticks 2 and 3 may still sound
        ("sssss....", False),
        ("sss..t...", False),
        ("sss.....s", False),
    ],
)
def test_who_is_cut_off_is_silent_two_ticks_later(track, stopped):
    assert stops(moments(track), first_tick=2) is stopped


@pytest.mark.parametrize(
    ("track", "count"),
    [("......", 0), ("sss...", 1), ("s..s..", 1), ("s...s.", 2), ("...t..", 1), ("ss...tt...s", 3)],
)
def test_a_start_is_what_follows_a_pause(track, count):
    assert starts(moments(track)) == count


@pytest.mark.parametrize(("track", "on"), [("sssssssss", True), ("ssssssss.", False), ("sssss.sss", False)])
def test_only_who_would_have_gone_on_can_be_stopped(track, on):
    assert goes_on(moments(track), first_tick=2) is on


@pytest.mark.parametrize(
    ("track", "speaks", "answer_ticks", "count"),
    [
        ("..sss.......", True, 3, 0),
        ("..tsss.s....", True, 4, 1),
        ("..sss..s.s..", True, 3, 2),
        ("..tttt......", True, 0, 0),  # written, and never heard
        ("..tttt..t...", False, 4, 1),
        ("............", True, 0, 0),
    ],
)
def test_what_is_said_after_the_first_silent_tick_is_no_answer_any_more(track, speaks, answer_ticks, count):
    answer, after = after_answer(moments(track), speaks)
    assert len(answer) == answer_ticks
    assert starts(after, pause_ticks=1) == count


def test_who_never_stops_begins_again_and_again():
    assert starts(moments("s" * LONG_TICKS)) == 1
    assert starts(moments("s" * (3 * LONG_TICKS))) == 3
