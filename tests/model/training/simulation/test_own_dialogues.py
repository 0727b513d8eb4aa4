"""Dialogues that a language model writes: asked for through an engine, read, and kept only where they can be spoken."""

from dataclasses import replace

import pytest

from model.training.data.clip import Split
from model.training.simulation.own_dialogues import (
    ask,
    is_plain,
    read_answer,
    read_dialogue,
    write_answers,
    write_dialogues,
)
from model.training.simulation.playwright import write_script
from model.training.simulation.script import UserSpeaks
from streams.types import Finish, TickInput, TickOutput
from tests.model.training.simulation.bills import TONES

WRITTEN = (
    "Here it is:\n**User**: I like tea.\nAssistant: Tea is warm and nice.\nUser: Yes, it is.\nAssistant: Enjoy it."
)


class Author:
    """An engine that writes one text, a few words a tick."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.is_open = False

    def open(self, session: str, seed: int) -> None:
        self.is_open = True

    def encode(self, windows):
        return [TickInput(window.session, window.tick) for window in windows]

    def step(self, inputs):
        (tick_input,) = inputs
        piece = self._text[tick_input.tick * 20 : (tick_input.tick + 1) * 20]
        finish = None if piece else Finish.STOP
        yield TickOutput(tick_input.session, tick_input.tick, done=True, text=piece, finish=finish)

    def close(self, session: str) -> None:
        self.is_open = False


def test_an_answer_is_gathered_over_ticks_and_the_slot_given_back():
    author = Author(WRITTEN)
    assert ask(author, "Write.", "Now.", seed=0) == WRITTEN
    assert not author.is_open


def test_a_dialogue_is_read_turn_by_turn():
    turns = read_dialogue(WRITTEN)
    assert turns is not None
    assert turns[0] == ("I like tea.", "Tea is warm and nice.")


def test_a_dialogue_ends_before_the_first_line_that_cannot_be_spoken():
    assert read_dialogue("User: Hi there you.\nAssistant: Hello to you.\nUser: See https://x.y\nAssistant: Okay.") == (
        ("Hi there you.", "Hello to you."),
    )


@pytest.mark.parametrize(
    "text", ["There are 3 apples.", "I will kill it.", "word " * 17, "", "* one * two", "Greetings."]
)
def test_what_cannot_or_must_not_be_spoken_is_not_plain(text):
    assert not is_plain(text)


def test_what_is_no_dialogue_is_dropped():
    assert list(write_dialogues(Author("I cannot do that."), 2, seed=0)) == [None, None]


def test_written_dialogues_are_spoken_in_training_and_never_in_evaluation():
    dialogues = ((("I like tea.", "Tea is warm and nice."),),)
    bill = replace(TONES, dialogues=dialogues, dialogue_share=0.5)

    def kinds(split: Split) -> set[str]:
        scripts = [write_script(bill, split, index) for index in range(20)]
        return {line.kind for script in scripts for line in script.lines if isinstance(line, UserSpeaks)}

    assert "dialogue" in kinds(Split.TRAIN)
    assert "dialogue" not in kinds(Split.EVAL)


def test_whole_answers_are_kept_on_one_line():
    assert read_answer("What is rain?", "Rain is water.\n\nIt falls.") == (
        ("What is rain?", "Rain is water. It falls."),
    )


@pytest.mark.parametrize("answer", ["", "It falls from", "word " * 200 + "."])
def test_answers_that_were_cut_off_or_are_long_are_left_out(answer):
    assert read_answer("What is rain?", answer) is None


def test_questions_differ_and_are_answered():
    kept = [answer for answer in write_answers(Author("Water is wet."), 6, 0, "Be brief.") if answer]
    assert len({turns[0][0] for turns in kept}) > 3
    assert {turns[0][1] for turns in kept} == {"Water is wet."}
