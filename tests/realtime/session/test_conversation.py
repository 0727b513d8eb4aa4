"""Items in their order, bounded, and what they mean to the model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.errors import ProtocolError
from realtime.protocol.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    Item,
    MessageItem,
    OutputAudio,
    OutputText,
)
from realtime.session.conversation import ROOT, Conversation, Spoken
from realtime.session.limits import SessionLimits
from realtime.session.messages import message_of
from streams.types import AudioChunk, Message, Role, VideoFrame


def said(item_id: str, text: str = "hi", role: str = "user", status: str = "completed") -> MessageItem:
    part = OutputText(text=text) if role == "assistant" else InputText(text=text)
    return MessageItem(id=item_id, role=role, content=(part,), status=status)  # type: ignore[arg-type]


def add(conversation: Conversation, item: Item, previous: str | None = None) -> str | None:
    return conversation.insert(item, message_of(item, 0), previous)


def conversation_of(*item_ids: str) -> Conversation:
    conversation = Conversation(SessionLimits())
    for item_id in item_ids:
        add(conversation, said(item_id, item_id))
    return conversation


def order(conversation: Conversation) -> str:
    return "".join(message.text for message in conversation.as_messages())


def refusal(caught: pytest.ExceptionInfo[ProtocolError]) -> str:
    return caught.value.code


# --- order ----------------------------------------------------------------------------------------------------------


def test_items_follow_each_other_and_know_their_predecessor() -> None:
    conversation = Conversation(SessionLimits())
    assert add(conversation, said("a")) is None
    assert add(conversation, said("b")) == "a"
    assert conversation.previous_id("b") == "a"
    assert conversation.last_id == "b"


def test_root_puts_an_item_first() -> None:
    conversation = conversation_of("a", "b")
    assert add(conversation, said("c", "c"), ROOT) is None
    assert order(conversation) == "cab"


def test_an_item_can_be_put_after_any_other() -> None:
    conversation = conversation_of("a", "b")
    assert add(conversation, said("c", "c"), "a") == "a"
    assert order(conversation) == "acb"


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=12))
def test_the_order_is_that_of_a_plain_list(steps: list[tuple[int, bool]]) -> None:
    conversation, expected = Conversation(SessionLimits()), list[str]()
    for number, (place, at_root) in enumerate(steps):
        item_id = chr(ord("a") + number)
        index = 0 if at_root or not expected else place % len(expected) + 1
        previous = ROOT if at_root else expected[index - 1] if expected else None
        returned = add(conversation, said(item_id, item_id), previous)
        expected.insert(index, item_id)
        assert returned == (expected[index - 1] if index else None)
    assert order(conversation) == "".join(expected)


def test_an_unknown_predecessor_is_refused() -> None:
    with pytest.raises(ProtocolError, match="there is no item 'x' to put this one after"):
        add(conversation_of("a"), said("b"), "x")


def test_an_id_can_be_used_once() -> None:
    with pytest.raises(ProtocolError) as caught:
        add(conversation_of("a"), said("a"))
    assert refusal(caught) == "item_create_duplicate_item_id"


def test_an_id_or_an_item_that_is_too_long_is_refused() -> None:
    conversation = Conversation(SessionLimits(max_item_bytes=1_000))
    with pytest.raises(ProtocolError, match="cannot be an item's id"):
        add(conversation, said("x" * 129))
    with pytest.raises(ProtocolError) as caught:
        add(conversation, said("a", "x" * 1_000))
    assert refusal(caught) == "item_too_large"


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda c: c.retrieve("x"), "item_retrieve_invalid_item_id"),
        (lambda c: c.delete("x"), "item_delete_invalid_item_id"),
        (lambda c: c.truncate("x", 0), "item_truncate_invalid_item_id"),
    ],
)
def test_unknown_items_are_named(act: object, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        act(conversation_of("a"))  # type: ignore[operator]
    assert refusal(caught) == code


def test_a_deleted_item_is_gone() -> None:
    conversation = conversation_of("a", "b", "c")
    conversation.delete("b")
    assert order(conversation) == "ac"
    assert conversation.previous_id("c") == "a"
    assert conversation.update(said("b", "again"), None) == said("b", "again")
    assert "b" not in conversation


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_the_oldest_items_are_forgotten() -> None:
    conversation = Conversation(SessionLimits(max_items=2))
    for item_id in "abc":
        add(conversation, said(item_id, item_id))
    assert order(conversation) == "bc"


def test_clients_that_still_have_a_forgotten_item_can_place_those_after_it() -> None:
    conversation = Conversation(SessionLimits(max_items=1))
    add(conversation, said("a"))
    assert add(conversation, said("b")) == "a"
    assert conversation.previous_id("b") == "a"
    conversation.delete("b")
    assert conversation.last_id == "a"
    assert add(conversation, said("c"), "a") == "a"
    assert add(conversation, said("d"), ROOT) is None


def test_an_item_that_is_being_written_is_not_forgotten() -> None:
    conversation = Conversation(SessionLimits(max_items=2))
    add(conversation, said("a", role="assistant", status="in_progress"))
    for item_id in "bcd":
        add(conversation, said(item_id, item_id))
    assert "a" in conversation
    assert len(conversation) == 2


def test_old_pictures_are_forgotten_before_old_words() -> None:
    conversation = Conversation(SessionLimits(max_conversation_bytes=10_000))
    picture = VideoFrame(0, np.zeros((50, 50, 3), np.uint8))
    for item_id in "ab":
        item = MessageItem(id=item_id, role="user", content=(InputText(text=item_id), InputImage()))
        conversation.insert(item, Message(0, Role.USER, (item_id, picture)))
    assert order(conversation) == "ab"
    assert [len(message.parts) for message in conversation.as_messages()] == [1, 2]
    assert conversation.num_bytes < 10_000


@given(st.lists(st.sampled_from("aid"), max_size=40))
def test_the_count_of_bytes_is_that_of_what_is_there(steps: list[str]) -> None:
    conversation = Conversation(SessionLimits())
    for number, step in enumerate(steps):
        if step == "d" and conversation.last_id:
            conversation.delete(conversation.last_id)
        elif step == "i" and conversation.last_id:
            conversation.update(said(conversation.last_id, "longer words"), None)
        else:
            add(conversation, said(f"item_{number}"))
    for item_id in [conversation.last_id for _ in range(len(conversation)) if conversation.last_id]:
        if item_id in conversation:
            conversation.delete(item_id)
    while conversation.last_id:
        conversation.delete(conversation.last_id)
    assert conversation.num_bytes == 0


# --- truncation -----------------------------------------------------------------------------------------------------

SPOKEN = Spoken(1_000, ((0, "One "), (250, "two "), (500, "three "), (750, "four.")))


def spoken_conversation() -> Conversation:
    conversation = conversation_of("a")
    item = MessageItem(id="b", role="assistant", status="in_progress")
    conversation.insert(item, None)
    done = MessageItem(id="b", role="assistant", content=(OutputAudio(transcript=SPOKEN.transcript),))
    conversation.update(done, message_of(done, 0), SPOKEN)
    return conversation


def transcript(conversation: Conversation) -> object:
    item = conversation.retrieve("b")
    assert isinstance(item, MessageItem)
    assert isinstance(item.content[0], OutputAudio)
    return item.content[0].transcript


def test_truncation_drops_what_was_not_heard() -> None:
    conversation = spoken_conversation()
    assert conversation.truncate("b", 600) == (600, True)
    assert transcript(conversation) == "One two three "
    assert conversation.as_messages()[-1].text == "One two three "


def test_truncation_beyond_the_end_is_clamped() -> None:
    conversation = spoken_conversation()
    assert conversation.truncate("b", 1_001) == (1_000, False)
    assert transcript(conversation) == "One two three four."


def test_truncation_at_nothing_leaves_nothing() -> None:
    conversation = spoken_conversation()
    assert conversation.truncate("b", 0) == (0, True)
    assert transcript(conversation) == ""
    assert [message.text for message in conversation.as_messages()] == ["a"]


def test_truncation_while_the_answer_is_written_holds_when_it_is_done() -> None:
    conversation = conversation_of("a")
    conversation.insert(MessageItem(id="b", role="assistant", status="in_progress"), None)
    assert conversation.truncate("b", 300) == (300, False)
    done = MessageItem(id="b", role="assistant", content=(OutputAudio(transcript=SPOKEN.transcript),))
    conversation.update(done, message_of(done, 0), SPOKEN)
    assert transcript(conversation) == "One two "


def test_only_answers_can_be_truncated() -> None:
    with pytest.raises(ProtocolError, match="only an assistant's message"):
        conversation_of("a").truncate("a", 0)


def test_written_answers_have_no_sound_to_truncate() -> None:
    conversation = conversation_of()
    add(conversation, said("b", "words", role="assistant"))
    assert conversation.truncate("b", 100) == (100, False)


# --- what the model is told -----------------------------------------------------------------------------------------


def test_a_call_joins_the_words_before_it() -> None:
    conversation = conversation_of("a")
    add(conversation, said("b", "Let me see.", role="assistant"))
    add(conversation, FunctionCallItem(id="c", call_id="1", name="look", arguments='{"at": "sky"}'))
    add(conversation, FunctionCallOutputItem(id="d", call_id="1", output="blue"))
    messages = conversation.as_messages()
    assert [message.role for message in messages] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert messages[1].text == 'Let me see.\n<tool_call>{"name": "look", "arguments": {"at": "sky"}}</tool_call>'
    assert messages[2].text == "blue"


def test_what_is_unfinished_is_not_told() -> None:
    conversation = conversation_of("a")
    add(conversation, said("b", "half", role="assistant", status="in_progress"))
    add(conversation, FunctionCallItem(id="c", call_id="1", name="look", arguments="{", status="incomplete"))
    assert order(conversation) == "a"


def test_sound_that_is_still_to_be_heard_is_not_past() -> None:
    conversation = conversation_of("a")
    sound = Message(0, Role.USER, (AudioChunk(0, np.ones(100, np.float32)),))
    conversation.insert(MessageItem(id="b", role="user", content=(InputAudio(),)), sound, first_sample=1_000)

    def heard(num_heard: int | None) -> list[int]:
        parts = [message.parts[0] for message in conversation.as_messages(num_heard)[1:]]
        return [len(part.pcm) for part in parts if isinstance(part, AudioChunk)]

    assert (heard(1_000), heard(1_040), heard(5_000), heard(None)) == ([], [40], [100], [100])


def test_an_answer_that_was_cut_off_is_told_as_far_as_it_went() -> None:
    conversation = conversation_of("a")
    add(conversation, said("b", " half", role="assistant", status="incomplete"))
    assert order(conversation) == "a half"
