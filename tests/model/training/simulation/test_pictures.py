"""Pictures by their descriptions, and emoji from a set."""

from dataclasses import replace

import numpy as np
import pytest

from model.training.data.clip import Split
from model.training.simulation.cast import Cast
from model.training.simulation.emoji import EmojiBook
from model.training.simulation.pictures import THINGS, by_hand, describe, draw_picture, paint
from model.training.simulation.playwright import write_script
from model.training.simulation.script import AgentSpeaks, Picture, PictureKind, UserShows
from model.training.simulation.session import simulate
from tests.model.training.simulation.bills import TONES, script_of, session_with

KINDS = [kind for kind in PictureKind if kind is not PictureKind.EMOJI]
OWL = Picture(PictureKind.EMOJI, "owl", "", seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_a_function_of_its_description(kind):
    picture = draw_picture(np.random.default_rng(3), kind)
    assert np.array_equal(paint(picture), paint(picture))
    assert paint(picture).shape == (128, 128, 3)
    other = Picture(picture.kind, picture.name, picture.color, picture.count, seed=9)
    assert not np.array_equal(paint(picture), paint(other))


@pytest.mark.parametrize("kind", KINDS)
def test_the_agent_draws_the_same_words_the_same_way(kind):
    picture = draw_picture(np.random.default_rng(3), kind)
    other = replace_seed(picture, 9)
    assert np.array_equal(by_hand(picture), by_hand(other))
    assert not np.array_equal(by_hand(picture), paint(picture))


def replace_seed(picture: Picture, seed: int) -> Picture:
    return Picture(picture.kind, picture.name, picture.color, picture.count, seed)


@pytest.mark.parametrize("name", THINGS)
def test_every_thing_can_be_painted_and_named(name):
    picture = Picture(PictureKind.THING, name, "blue", seed=2)
    assert name in describe(picture)
    assert paint(picture, 32).std() > 10


def test_words_for_pictures():
    assert describe(Picture(PictureKind.SHAPE, "circle", "orange")) == "an orange circle"
    assert describe(Picture(PictureKind.COUNT, "cross", "red", 3)) == "three red crosses"
    assert describe(Picture(PictureKind.DIGIT, "7", "red")) == "the number seven"
    assert describe(OWL) == "an owl"


def test_an_emoji_needs_its_book():
    with pytest.raises(ValueError, match="needs the pictures"):
        paint(OWL)
    with pytest.raises(ValueError, match="needs the pictures"):
        session_with(UserShows(picture=OWL))


class OnePicture(EmojiBook):
    """A book that paints every emoji grey."""

    def __init__(self) -> None:
        self.names = ("owl", "red apple")

    def paint(self, name: str, seed: int, side_px: int) -> np.ndarray:
        assert name in self.names
        return np.full((side_px, side_px, 3), 128, np.uint8)


def test_emoji_are_shown_and_drawn_where_there_is_a_book():
    bill = replace(TONES, emoji=OnePicture().names, num_exchanges=7)
    scripts = [write_script(bill, Split.TRAIN, index) for index in range(60)]
    lines = [line for script in scripts for line in script.lines]
    shown = {line.picture.name for line in lines if isinstance(line, UserShows) and line.picture is not None}
    drawn = {line.draws.name for line in lines if isinstance(line, AgentSpeaks) and line.draws is not None}
    assert shown & {"owl", "red apple"}
    assert drawn & {"owl", "red apple"}
    draws = AgentSpeaks(text="Here is an owl.", draws=OWL)
    session = simulate(script_of(draws), Cast(), 3, OnePicture())
    images = [output.image for output in session.outputs if output.image is not None]
    assert any((image == 128).all() for image in images)
