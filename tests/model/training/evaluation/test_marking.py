"""What counts as right, by example."""

from dataclasses import replace

import pytest

from model.training.evaluation.examining import Turn
from model.training.evaluation.live import Moment
from model.training.evaluation.marking import MOST_WORDS, mark_turn, mark_words, plain
from model.training.simulation.facts import WEEK
from model.training.simulation.script import AgentSpeaks, Picture, PictureKind

RIGHT = [
    (("hello|hi",), "Hi there!", ()),
    (("nine",), "9.", ()),
    (("twelve",), "Nine plus three is 12.", ("What's nine plus three?",)),
    (("one, two, three",), "Okay. 1, 2, 3.", ()),
    (("red",), "That's red.", ()),
    (("red",), "A RED one", ()),
    (("blue", "star|stars"), "Now it's a blue star, it was a red one.", ("a red star",)),
    (("Tuesday",), "The day after Monday is Tuesday.", ("Which day follows Monday?",)),
    (WEEK, "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.", ()),
    (("A, P, P, L, E",), "apple is spelled A-P-P-L-E.", ()),
    (("with A|=A",), "A.", ()),
    (("with A|=A",), "apple starts with A.", ()),
    (("no|not|isn't",), "No, it isn't.", ()),
    (("cock-a-doodle-doo",), "Cock a doodle doo!", ()),
    (("can't|sorry",), "I can’t do that.".replace("’", "'"), ()),
    (("circle",), "A blue circle.", ()),
    (("apple|banana|orange",), "An apple is a red fruit.", ()),
    (("three",), "I see three; this one is nice.", ()),
]
WRONG = [
    (("hello|hi",), "", "said nothing"),
    (("hello|hi",), "This is fine.", "does not say 'hello'"),
    (("nine",), "ninety", "does not say 'nine'"),
    (("red",), "Is it red or blue?", "says 'blue'"),
    (("nine",), "Nine, or 10.", "says 'ten'"),
    (("circle",), "A circle and two squares.", "says 'squares'"),
    (("Paris",), "Paris or Berlin.", "says 'berlin'"),
    (("Tuesday",), "Tuesday. Or Friday.", "says 'friday'"),
    (("yes|right",), "Yes and no.", "says 'no'"),
    (("no|not",), "Not really, yes.", "says 'yes'"),
    (("one, two, three",), "One, two, three, four.", "says 'four'"),
    (("one, two, three",), "One, three, two.", "does not say"),
    (("woof",), "Woof or meow.", "says 'meow'"),
    (("with A|=A",), "A bee.", "does not say"),
]


@pytest.mark.parametrize(("keys", "said", "mentioned"), RIGHT)
def test_right(keys, said, mentioned):
    mark = mark_words(keys, said, mentioned)
    assert mark.right, mark.why


@pytest.mark.parametrize(("keys", "said", "why"), WRONG)
def test_wrong_and_why(keys, said, why):
    mark = mark_words(keys, said)
    assert not mark.right
    assert why in mark.why


def test_plain_words_have_neither_case_nor_marks_nor_digits():
    assert plain("It's 12 o'clock - ISN'T it?") == "its twelve oclock isnt it"


def turn(said: str, kind: str = "", keys: tuple[str, ...] = (), asked: str = "", dictated: str = "") -> Turn:
    expected = None if dictated else AgentSpeaks(text="", keys=keys)
    return Turn(kind, asked, expected, (Moment(0, False, said),), (asked,), dictated=dictated)


def nothing_drawn(picture, rgb):
    raise AssertionError("there is nothing to read")


@pytest.mark.parametrize(
    ("said", "is_right"),
    [
        ("Seven is bigger.", True),
        ("Seven.", True),
        ("7 is bigger than 3.", True),
        ("Of three and seven, seven wins.", True),
        ("The bigger one is seven.", True),
        ("The bigger one of the two is 7.", True),
        ("The bigger one is three.", False),
        ("Three is bigger than seven.", False),
        ("Three.", False),
        ("Nine is bigger.", False),
    ],
)
def test_of_two_numbers_the_one_that_is_claimed_counts(said, is_right):
    asked = "Of three and seven, which is greater?"
    assert mark_turn(turn(said, "bigger", ("seven",), asked), None, nothing_drawn).right is is_right


@pytest.mark.parametrize(
    ("said", "is_right"),
    [
        ("That's Dublin.", True),
        ("I said: that's Dublin.", True),
        ("Okay, I said that's Dublin.", True),
        ("Dublin?", False),
        ("That's Dublin, and I like it there a lot.", False),
        ("", False),
    ],
)
def test_what_is_to_be_said_again_is_what_was_said_no_less_and_no_more(said, is_right):
    before = turn("That's Dublin.", "fact", ("Dublin",))
    assert mark_turn(turn(said, "say_again"), before, nothing_drawn).right is is_right


def test_who_was_wrong_is_not_right_by_saying_it_again():
    before = turn("Okay.", "fact", ("Dublin",))
    mark = mark_turn(turn("Okay.", "say_again"), before, nothing_drawn)
    assert mark.why == "what was to be repeated was wrong"


def test_many_words_hold_anything_and_are_no_answer_to_an_open_question():
    hello = turn("Hello. " + "Well. " * (MOST_WORDS - 1), "greeting", ("hello",))
    assert mark_turn(hello, None, nothing_drawn).right
    longer = turn("Hello. " + "Well. " * MOST_WORDS, "greeting", ("hello",))
    assert mark_turn(longer, None, nothing_drawn).why == f"says {MOST_WORDS + 1} words"


@pytest.mark.parametrize(
    ("kind", "keys", "asked", "said", "is_right"),
    [
        ("give_name", ("Anna",), "I go by Anna.", "I go by Anna.", False),
        ("give_name", ("Anna",), "I go by Anna.", "Hello, Anna!", True),
        ("repeat", ("The door is open.",), "Echo my words: The door is open.", "The door is open.", True),
        (
            "repeat",
            ("The door is open.",),
            "Echo my words: The door is open.",
            "Echo my words: the door is open",
            False,
        ),
        ("greeting", ("hello|good day",), "Good day.", "Good day.", True),
    ],
)
def test_the_question_said_back_is_no_answer(kind, keys, asked, said, is_right):
    assert mark_turn(turn(said, kind, keys, asked), None, nothing_drawn).right is is_right


HOUSE = Picture(PictureKind.THING, "house", "red")
STARS = Picture(PictureKind.COUNT, "star", "blue", 3)
SEVEN = Picture(PictureKind.DIGIT, "7", "green")
DOG = Picture(PictureKind.EMOJI, "dog", "")


@pytest.mark.parametrize(
    ("kind", "keys", "shown", "said", "is_right"),
    [
        ("see_thing", ("house",), (STARS, HOUSE), "That's a house.", True),
        ("see_thing", ("house",), (STARS, HOUSE), "Three blue stars and a house.", False),
        ("see_thing", ("house",), (SEVEN, HOUSE), "A house with the number 7.", False),
        ("see_thing", ("house",), (HOUSE,), "A house and a dog.", False),
        ("see_thing", ("dog",), (DOG,), "That's a dog.", True),
        ("see_thing", ("dog",), (DOG,), "That's a dog or a horse.", False),
        ("see_count", ("three",), (HOUSE, STARS), "I see three stars.", True),
        ("see_count", ("three",), (HOUSE, STARS), "Three, and a house.", False),
        ("see_before", ("house",), (HOUSE, STARS), "It was a house.", True),
        ("see_before", ("house",), (HOUSE, STARS), "A house, blue stars.", False),
        ("see_changed", ("house",), (STARS, HOUSE), "It was three blue stars, now it's a house.", True),
        ("stop_narrating", ("okay|stop",), (HOUSE,), "Okay, no more of the house.", True),
    ],
)
def test_naming_all_that_was_shown_is_right_only_where_it_changed(kind, keys, shown, said, is_right):
    looked = replace(turn(said, kind, keys), shown=shown)
    if kind == "see_changed":
        looked = replace(looked, mentioned=("three blue stars", "a house"))
    assert mark_turn(looked, None, nothing_drawn).right is is_right


def test_nothing_can_be_said_again_where_nothing_was_said():
    assert not mark_turn(turn("Sure.", "say_again"), None, nothing_drawn).right


@pytest.mark.parametrize(
    ("written", "is_right"),
    [
        ("The door is open", True),
        ("the door was open", True),
        ("the floor was open", False),
        ("", False),
    ],
)
def test_dictation_may_have_a_third_of_its_words_wrong(written, is_right):
    assert mark_turn(turn(written, dictated="The door is open."), None, nothing_drawn).right is is_right


def test_silence_is_right_where_nothing_is_to_be_said():
    quiet, loud = Moment(0, False), Moment(1, False, "Hm.")
    assert mark_turn(Turn("", "", None, (quiet,)), None, nothing_drawn).right
    assert not mark_turn(Turn("", "", None, (quiet, loud)), None, nothing_drawn).right
