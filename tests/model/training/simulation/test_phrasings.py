"""Held-out phrasings never occur in training, and evaluation asks in no other words."""

import re

import numpy as np
import pytest

from model.training.data.clip import Split
from model.training.data.held_out import text_split
from model.training.simulation.phrasings import PHRASINGS, is_held_out, may_be_trained_on, phrase
from model.training.simulation.playwright import EXCHANGES
from model.training.simulation.script import AgentSpeaks, Script, UserSpeaks, UserTypes
from tests.model.training.simulation.bills import small_script

NUM_SCRIPTS = 150
UNPHRASED = ("", "backchannel", "interruption")  # dictated sentences and interjections: no requests


def requests(script: Script) -> list[UserSpeaks | UserTypes]:
    return [line for line in script.lines if isinstance(line, UserSpeaks | UserTypes) and line.kind not in UNPHRASED]


@pytest.fixture(scope="module")
def scripts() -> dict[Split, list[Script]]:
    return {split: [small_script(index, split) for index in range(NUM_SCRIPTS)] for split in Split}


def test_there_are_forty_kinds_of_request_and_each_has_phrasings_of_both_sorts():
    assert len(PHRASINGS) >= 40
    assert all(len(kind.training) >= 5 and len(kind.held_out) >= 2 for kind in PHRASINGS.values())


@pytest.mark.parametrize("kind", PHRASINGS)
def test_no_phrasing_is_of_both_sorts(kind):
    texts = [re.sub(r"\{\w+\}", "seven", template) for template in PHRASINGS[kind].training]
    assert not [text for text in texts if is_held_out(text)]


def test_held_out_phrasings_never_occur_in_training(scripts):
    said = [line.text for script in scripts[Split.TRAIN] for line in requests(script)]
    assert len(said) > 2 * NUM_SCRIPTS
    assert not [text for text in said if is_held_out(text)]


def test_evaluation_asks_in_held_out_phrasings_only(scripts):
    said = [line.text for script in scripts[Split.EVAL] for line in requests(script)]
    assert all(is_held_out(text) for text in said)


def test_no_text_that_speech_sets_hold_out_is_spoken_in_training(scripts):
    lines = [line for script in scripts[Split.TRAIN] for line in script.lines]
    said = [line.text for line in lines if isinstance(line, AgentSpeaks | UserSpeaks | UserTypes)]
    said += [script.voice_text for script in scripts[Split.TRAIN] if script.voice_text]
    assert {text_split(text) for text in said} == {Split.TRAIN}


def test_every_kind_of_request_is_written_in_both_splits():
    wanted = set(PHRASINGS)
    for split in Split:
        kinds = {line.kind for index in range(2 * len(EXCHANGES)) for line in requests(small_script(index, split))}
        rare = {kind for kind in wanted if kind.startswith(("see_", "draw_"))} | {"never_mind"}
        assert wanted - kinds <= rare, wanted - kinds


def test_held_out_words_are_found_whatever_their_case_and_punctuation():
    assert is_held_out("what's the SUM of two, and three")
    assert not may_be_trained_on("What's the sum of two and three?")


def test_a_request_is_a_function_of_its_dice():
    asked = [phrase("spell", Split.TRAIN, np.random.default_rng(5), {"word": "garden"}) for _ in range(2)]
    assert asked[0] == asked[1]
    assert "garden" in asked[0][0].lower()


def test_a_phrasing_whose_slots_are_not_given_is_never_chosen():
    with pytest.raises(ValueError, match="no phrasing of 'spell'"):
        phrase("spell", Split.TRAIN, np.random.default_rng(5), {})
