import numpy as np

from realtime.protocol.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    MessageItem,
    OutputAudio,
    OutputText,
    shown,
)
from realtime.protocol.session_config import FunctionTool
from realtime.session.messages import engine_tools, joined, message_of, num_media_bytes, without_media
from streams.types import AudioChunk, Message, Part, Role, Tool, VideoFrame

PICTURE = VideoFrame(0, np.zeros((2, 3, 3), np.uint8))
SOUND = AudioChunk(0, np.zeros(10, np.float32))


def decode(part: InputAudio | InputImage) -> Part | None:
    return PICTURE if isinstance(part, InputImage) else SOUND


def test_parts_keep_their_order() -> None:
    content = (InputText(text="this: "), InputImage(image_url="data:"), InputText(text="?"), InputAudio(audio="AA"))
    message = message_of(MessageItem(role="user", content=content), 5, decode)
    assert message is not None
    assert message.parts == ("this: ", PICTURE, "?", SOUND)
    assert (message.pts_us, message.role) == (5, Role.USER)


def test_sound_that_is_not_there_is_told_as_its_transcript() -> None:
    item = MessageItem(role="user", content=(InputAudio(transcript="hello"),))
    message = message_of(item, 0)
    assert message is not None
    assert message.parts == ("hello",)
    assert message_of(MessageItem(role="user", content=(InputAudio(),)), 0) is None


def test_answers_are_told_as_text() -> None:
    item = MessageItem(role="assistant", content=(OutputText(text="a"), OutputAudio(transcript="b"), OutputAudio()))
    message = message_of(item, 0)
    assert message is not None
    assert message.parts == ("a", "b")


def test_an_empty_message_says_nothing() -> None:
    assert message_of(MessageItem(role="user"), 0) is None
    assert message_of(MessageItem(role="user", content=(InputText(text=""),)), 0) is None


def test_a_call_and_its_output() -> None:
    call = message_of(FunctionCallItem(name='say "hi"', arguments="", call_id="1"), 0)
    output = message_of(FunctionCallOutputItem(call_id="1", output="done"), 0)
    assert call is not None
    assert output is not None
    assert call.text == '<tool_call>{"name": "say \\"hi\\"", "arguments": {}}</tool_call>'
    assert (call.role, output.role, output.text) == (Role.ASSISTANT, Role.TOOL, "done")


def test_only_the_assistants_messages_are_joined() -> None:
    mine, yours = Message(1, Role.ASSISTANT, ("a",)), Message(2, Role.USER, ("b",))
    assert joined(mine, mine) == Message(1, Role.ASSISTANT, ("a", "\n", "a"))
    assert joined(yours, mine) is None


def test_media_are_counted_and_can_be_dropped() -> None:
    message = Message(0, Role.USER, ("a", PICTURE, SOUND))
    assert num_media_bytes(message) == 2 * 3 * 3 + 10 * 4
    assert without_media(message) == Message(0, Role.USER, ("a",))
    assert without_media(Message(0, Role.USER, (PICTURE,))) is None


def test_tools_reach_the_engine_as_json() -> None:
    tool = FunctionTool(name="f", description="d", parameters={"type": "object"})
    assert engine_tools([tool]) == (Tool("f", "d", '{"type":"object"}'),)


def test_items_are_shown_without_sound_and_without_large_pictures() -> None:
    small, large = (
        InputImage(image_url="data:" + "x" * 100),
        InputImage(image_url="data:" + "x" * 100_000, detail="low"),
    )
    item = MessageItem(role="user", content=(InputAudio(audio="AAAA"), small, large))
    assert shown(item) == MessageItem(role="user", content=(InputAudio(), small, InputImage(detail="low")))
