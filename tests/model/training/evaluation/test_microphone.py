import msgspec
import numpy as np
import pytest

from model.training.data.level import level_db
from model.training.data.noise import NoiseKind
from model.training.evaluation.microphone import Microphone, Spoken, any_surroundings
from model.training.simulation.script import Sounds
from streams.types import SAMPLES_PER_TICK
from tests.model.training.evaluation.agent import TONE
from tests.model.training.simulation.bills import QUIET

LOUD = 0.01


def microphone(**changes) -> Microphone:
    return Microphone(msgspec.structs.replace(QUIET, **changes), np.random.default_rng(3))


def loud_ticks(microphone: Microphone, count: int) -> list[int]:
    return [tick for tick in range(count) if np.abs(microphone.take()).max() > LOUD]


def test_speech_is_heard_from_its_pause_on_and_told_of():
    heard = microphone()
    spoken = heard.say(np.tile(TONE, 3), after_us=500_000)
    assert (spoken.start, spoken.end) == (2 * SAMPLES_PER_TICK, 5 * SAMPLES_PER_TICK)
    assert (spoken.first_tick, spoken.last_tick) == (2, 4)
    assert [tick for tick in range(8) if heard.speaks_at_end_of(tick)] == [2, 3]
    assert loud_ticks(heard, 8) == [2, 3, 4]


def test_speech_that_begins_later_is_placed_from_then_on():
    heard = microphone()
    heard.take()
    assert heard.say(TONE, after_us=125_000).start == SAMPLES_PER_TICK * 3 // 2


def test_the_last_sample_decides_the_last_tick():
    assert Spoken(0, SAMPLES_PER_TICK).last_tick == 0
    assert Spoken(0, SAMPLES_PER_TICK + 1).last_tick == 1


def test_room_is_at_its_level_and_never_ends():
    heard = microphone(noise_db=-50.0)
    ticks = [heard.take() for _ in range(200)]
    assert level_db(np.concatenate(ticks[:40])) == pytest.approx(-50, abs=1.5)
    assert np.array_equal(ticks[0], ticks[80])


def test_loudspeaker_plays_the_agent_into_the_next_tick_and_its_tail_into_those_after():
    heard = microphone(echo_db=-25.0, echo_delay_us=100_000)
    heard.take()
    heard.play(TONE)
    first = heard.take()
    assert np.abs(first[: SAMPLES_PER_TICK * 2 // 5]).max() < LOUD / 2
    assert np.abs(first[SAMPLES_PER_TICK // 2 :]).max() > LOUD
    assert np.abs(heard.take()).max() > LOUD


def test_headphones_give_nothing_back():
    heard = microphone()
    heard.play(TONE)
    assert loud_ticks(heard, 3) == []


def test_sounds_come_after_their_pause_at_their_level():
    heard = microphone()
    heard.sound(Sounds(kind=NoiseKind.PINK, pause_us=250_000, duration_us=1_000_000, level_db=-25.0, seed=1))
    ticks = [heard.take() for _ in range(6)]
    assert np.abs(ticks[0]).max() < LOUD
    assert level_db(np.concatenate(ticks[1:5])) == pytest.approx(-25, abs=1.5)
    assert np.abs(ticks[5]).max() < LOUD


def test_reverberation_keeps_speech_where_it_is():
    heard = microphone(reverberates=True)
    assert heard.say(TONE, after_us=0).end == SAMPLES_PER_TICK
    assert loud_ticks(heard, 4) == [0]


def test_surroundings_have_an_echo_where_that_is_asked_for():
    random = np.random.default_rng(0)
    assert all(any_surroundings(random, echo=True).echo_db is not None for _ in range(20))
    assert all(any_surroundings(random, echo=False).echo_db is None for _ in range(20))
    assert {any_surroundings(random).echo_db is None for _ in range(40)} == {True, False}
