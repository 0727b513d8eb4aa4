"""One answer: what may be drawn, what it says, how it ends."""

from dataclasses import replace

import torch

from model.answer import Answer, OutputRules
from model.chat import ChatTemplate
from model.presets import CHAT, TEXT_ONLY, tiny
from model.tokenizers.text import ByteTokenizer
from model.tools import CALL_START, TokenClasses
from streams.types import Finish, Respond, Tool

TOKENIZER = ByteTokenizer()
TEMPLATE = ChatTemplate(CHAT, TOKENIZER)
RULES = OutputRules.of(replace(tiny(), abilities=TEXT_ONLY), TOKENIZER, TEMPLATE)
CLASSES = TokenClasses(TOKENIZER)
TOOL = Tool("look", "", "{}")


def answer_to(respond: Respond | None, max_tokens: int = 100) -> Answer:
    return Answer(respond, TOKENIZER, RULES, CLASSES, max_tokens)


def say(answer: Answer, text: str) -> None:
    for token in TOKENIZER.encode(text):
        answer.push(token)


def test_only_text_and_the_end_of_the_turn_can_be_drawn():
    allowed = torch.nonzero(answer_to(Respond("r")).mask()).flatten().tolist()
    assert allowed == [*range(256), TEMPLATE.end_id]


DRAWING_RULES = OutputRules.of(tiny(), TOKENIZER, TEMPLATE)


def test_a_model_that_paces_itself_may_say_nothing_and_one_that_draws_may_begin_a_picture():
    vocab = tiny().vocab
    assert bool(DRAWING_RULES.text[vocab.no_output])
    assert bool(DRAWING_RULES.text[vocab.delimiter("image_start")])
    assert not bool(DRAWING_RULES.text[vocab.first_image])


def test_a_picture_that_was_begun_is_drawn_to_its_end():
    vocab, num_codes = tiny().vocab, DRAWING_RULES.codes_of_picture
    answer = Answer(Respond("r"), TOKENIZER, DRAWING_RULES, CLASSES, 1_000)
    say(answer, "Here.")
    answer.push(vocab.delimiter("image_start"))
    for number in range(num_codes):
        assert torch.nonzero(answer.mask()).flatten().tolist() == [*range(vocab.first_image, vocab.no_output)]
        assert answer.forced() == []
        assert answer.push(vocab.first_image + number % vocab.image) == [vocab.first_image + number % vocab.image]
    assert answer.forced() == [vocab.delimiter("image_end")]
    assert answer.forced() == []
    assert torch.equal(answer.mask(), DRAWING_RULES.text)
    say(answer, " Done.")
    assert answer.take() == ("Here. Done.", ())


def test_text_comes_out_in_whole_characters():
    answer = answer_to(Respond("r"))
    first, second = "é".encode()
    answer.push(first)
    assert answer.take() == ("", ())
    answer.push(second)
    assert answer.take() == ("é", ())


def test_the_end_of_the_turn_stops_it_and_is_not_said():
    answer = answer_to(Respond("r"))
    say(answer, "hi")
    assert answer.push(TEMPLATE.end_id) == []
    assert answer.finish is Finish.STOP
    assert answer.take() == ("hi", ())


def test_the_smaller_of_both_limits_ends_it():
    for respond, limit in ((Respond("r", max_tokens=3), 100), (Respond("r", max_tokens=100), 3), (Respond("r"), 3)):
        answer = answer_to(respond, limit)
        say(answer, "ab")
        assert answer.finish is None
        say(answer, "c")
        assert answer.finish is Finish.LENGTH


def test_a_standing_answer_has_no_limit_and_no_end():
    answer = answer_to(None, max_tokens=2)
    say(answer, "abcdef")
    answer.push(TEMPLATE.end_id)
    assert answer.is_standing
    assert answer.response is None
    assert answer.finish is None


def test_what_was_said_before_a_rest_and_what_is_drawn_are_no_repetitions():
    answer = answer_to(None)
    say(answer, "ab")
    answer.push(tiny().vocab.first_image)
    assert answer.said == set(TOKENIZER.encode("ab"))
    answer.rest()
    assert answer.said == set()


def test_text_that_may_become_a_call_is_held_back_until_it_cannot():
    answer = answer_to(Respond("r", tools=(TOOL,)))
    say(answer, CALL_START[:5])
    assert answer.take() == ("", ())
    say(answer, "X")
    assert answer.take() == (CALL_START[:5] + "X", ())
    say(answer, CALL_START)
    assert answer.take() == (CALL_START, ())


def test_a_model_that_begins_a_call_is_guided_through_it():
    answer = answer_to(Respond("r", tools=(TOOL,)))
    say(answer, CALL_START)
    assert answer.guided
    answer.forced()
    text, calls = answer.take()
    assert text == ""
    assert [(call.name, call.arguments) for call in calls] == [("look", "{}")]
    assert answer.finish is Finish.STOP


def test_text_held_back_is_said_when_the_answer_ends():
    answer = answer_to(Respond("r", tools=(TOOL,)))
    say(answer, "<tool")
    answer.push(TEMPLATE.end_id)
    assert answer.take() == ("<tool", ())


def test_without_tools_the_words_of_a_call_are_words():
    answer = answer_to(Respond("r"))
    say(answer, CALL_START)
    assert answer.take() == (CALL_START, ())
