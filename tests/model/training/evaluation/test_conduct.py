import numpy as np
import pytest

from model.training.evaluation.conduct import LONG_TICKS, starts, stops, talks_over
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
        ("sssss....", True),  # cut into at tick 2: ticks 3 and 4 may still sound
        ("ssssss...", False),
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


def test_who_never_stops_begins_again_and_again():
    assert starts(moments("s" * LONG_TICKS)) == 1
    assert starts(moments("s" * (3 * LONG_TICKS))) == 3
