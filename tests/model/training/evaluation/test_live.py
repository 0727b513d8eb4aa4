"""What a live user does reaches the engine as from a client, and what the engine does comes back as to one."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from model.training.evaluation.live import Camera, LiveUser, LostSession, Moment
from model.training.evaluation.microphone import Microphone
from model.training.simulation.pictures import by_hand
from model.training.simulation.script import Picture, PictureKind
from streams.types import Message, Pace, Respond, Rewrite
from tests.model.training.evaluation.agent import TONE, Cue, Line, ToldAgent
from tests.model.training.evaluation.conftest import Deaf
from tests.model.training.simulation.bills import QUIET

STAR = Picture(PictureKind.SHAPE, "star", "blue", seed=3)


def live_user(agent: ToldAgent, spoken: bool = True, **changes) -> LiveUser:
    microphone = Microphone(QUIET, np.random.default_rng(0)) if spoken else None
    return LiveUser(agent, "live", Camera(None, np.random.default_rng(0)), microphone, Deaf, **changes)


def test_an_open_microphone_gives_every_tick_a_window_of_sound():
    agent = ToldAgent([])
    user = live_user(agent)
    moments = [user.tick() for _ in range(5)]
    assert [moment.tick for moment in moments] == [0, 1, 2, 3, 4]
    assert [window.tick for window in agent.windows] == [0, 1, 2, 3, 4]
    assert all(window.audio is not None and window.gap_samples == 0 for window in agent.windows)
    assert agent.windows[0].commands[0] == Pace(free=True)


def test_speech_is_heard_by_the_engine_in_the_tick_in_which_it_is_spoken():
    agent = ToldAgent([])
    user = live_user(agent)
    user.microphone.say(np.tile(TONE, 2), after_us=500_000)
    speaking = [user.tick().user_speaks for _ in range(5)]
    assert speaking == [False, False, True, False, False]
    loud = [np.abs(window.audio).max() > 0.01 for window in agent.windows]
    assert loud == [False, False, True, True, False]


def test_words_sound_and_pictures_come_back_in_the_tick_that_made_them():
    agent = ToldAgent([Line(Cue.HEARD, "A blue star.", by_hand(STAR), sound_ticks=1)])
    user = live_user(agent)
    user.microphone.say(TONE, after_us=0)
    moments = [user.tick() for _ in range(6)]
    assert "".join(moment.text for moment in moments) == "A blue star."
    (sound,) = [moment for moment in moments if moment.pcm is not None]
    (picture,) = [moment for moment in moments if moment.image is not None]
    assert np.allclose(sound.pcm, TONE, atol=1e-4)
    assert np.array_equal(picture.image, by_hand(STAR))
    assert picture.tick == sound.tick + 1


def test_a_typed_line_is_a_message_and_a_request_and_is_answered_in_writing():
    agent = ToldAgent([Line(Cue.TYPED, "Hello to you.")])
    user = live_user(agent, spoken=False)
    user.tick()
    user.type("Hi.")
    moments = [user.tick() for _ in range(8)]
    commands = [command for window in agent.windows for command in window.commands]
    assert [command.text for command in commands if isinstance(command, Message)] == ["Hi."]
    (asked,) = [command for command in commands if isinstance(command, Respond)]
    assert not asked.speak
    assert "".join(moment.text for moment in moments) == "Hello to you."
    assert user.is_answered


def test_a_typed_session_does_not_tick_while_nothing_happens():
    agent = ToldAgent([])
    user = live_user(agent, spoken=False)
    for _ in range(50):
        user.tick()
    assert len(agent.windows) < 10


def test_what_is_shown_is_filmed_once_a_tick_until_it_is_put_away():
    agent = ToldAgent([])
    user = live_user(agent)
    user.show(STAR)
    for _ in range(3):
        user.tick()
    user.show(None)
    user.tick()
    assert [len(window.frames) for window in agent.windows] == [1, 1, 1, 0]


def test_a_request_that_is_given_up_is_held():
    agent = ToldAgent([])
    user = live_user(agent, spoken=False)
    user.type("Hi.")
    user.tick()
    assert not user.is_answered
    user.give_up()
    user.tick()
    assert user.is_answered


def test_a_failure_of_the_engine_ends_the_session():
    user = live_user(ToldAgent([], fails_at=2))
    user.tick()
    user.tick()
    with pytest.raises(LostSession, match="told to fail"):
        user.tick()
    assert user.lost == "told to fail"
    heard = user.microphone.tick
    with pytest.raises(LostSession, match="told to fail"):
        user.tick()
    assert user.microphone.tick == heard  # nothing more goes in


def test_who_types_again_does_not_wait_for_the_answer_before():
    agent = ToldAgent([Line(Cue.TYPED, "One."), Line(Cue.TYPED, "Two.")])
    user = live_user(agent, spoken=False)
    user.tick()
    user.type("Hi.")
    user.tick()
    user.type("Hi again.")
    assert "".join(user.tick().text for _ in range(5)) == "Two."


def test_what_the_session_refuses_is_not_passed_over():
    user = live_user(ToldAgent([]), spoken=False)
    user._send(type="response.cancel")
    with pytest.raises(LostSession, match="no active response"):
        user.tick()


def test_ticks_are_timed_by_the_clock_that_is_given():
    user = live_user(ToldAgent([]), clock_ns=count(0, 7).__next__)
    user.tick()
    user.tick()
    assert user.tick_ns == [7, 7]


def test_the_first_window_begins_the_sequence_with_the_models_own_instructions():
    agent = ToldAgent([])
    agent.info = replace(agent.info, instructions="Be brief.")
    live_user(agent).tick()
    (rewrite,) = [command for command in agent.windows[0].commands if isinstance(command, Rewrite)]
    assert rewrite.prefix[0].text == "Be brief."


def test_moments_say_something_or_nothing():
    assert not Moment(0, True).says
    assert Moment(0, True, "a").says
    assert Moment(0, False, pcm=TONE).says
