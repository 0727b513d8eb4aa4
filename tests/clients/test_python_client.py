"""The Python client and our real server, over a real socket; the engine is `EchoEngine`, which has no weights."""

from collections.abc import AsyncIterator

import cv2
import numpy as np
import pytest

from omniweave_client import (
    Answer,
    AudioDelta,
    CannotConnect,
    Error,
    Event,
    ImageDone,
    Output,
    ResponseDone,
    ResponseStarted,
    ResponseStatus,
    Session,
    SessionConfig,
    TextDelta,
    Tool,
    ToolCall,
    ToolChoice,
    connect,
)
from omniweave_client.chat import run
from omniweave_client.options import parse_options
from realtime.auth import KeyRing
from realtime.config import EngineConfig, EngineKind, ServerConfig
from realtime.echo import EchoEngine
from realtime.server import build_server
from streams.types import SAMPLES_PER_TICK

LONG = " ".join(f"word{number}" for number in range(2_000))


def config_with(keys: KeyRing) -> ServerConfig:
    return ServerConfig(engine=EngineConfig(kind=EngineKind.ECHO), keys=keys)


@pytest.fixture(scope="module")
def url(start_server) -> str:
    server = start_server(build_server(config_with(KeyRing()), EchoEngine()))
    return f"ws://{server.address}/v1/realtime"


def tone(num_ticks: int) -> np.ndarray:
    """int16, loud in every tick."""
    return (9_000 * np.sin(np.arange(num_ticks * SAMPLES_PER_TICK) / 10)).astype(np.int16)


def picture(rgb: tuple[int, int, int]) -> np.ndarray:
    return np.full((48, 64, 3), rgb, np.uint8)


async def events_of_answer(session: Session) -> AsyncIterator[Event]:
    """Everything up to the end of the next answer."""
    async for event in session:
        yield event
        if isinstance(event, ResponseDone):
            return


async def test_typed_questions_are_answered_in_turn(url: str) -> None:
    async with connect(url) as session:
        assert session.model == "echo"
        assert await session.ask("hello there") == "You said: hello there"
        answer = await session.answer("und nun?")
    assert isinstance(answer, Answer)
    assert (answer.text, answer.status) == ("You said: und nun?", ResponseStatus.COMPLETED)
    assert answer.usage is not None
    assert answer.usage.output_tokens > 0
    assert 0 < answer.first_token_us <= answer.total_us


async def test_a_question_is_answered_while_sound_and_frames_arrive_and_the_voice_comes_back(url: str) -> None:
    config = SessionConfig(outputs=(Output.TEXT, Output.AUDIO), video=True, ticks=True)
    sound = tone(num_ticks=6)
    async with connect(url, config=config) as session:
        await session.send_frame(picture((200, 30, 30)))
        await session.send_audio(sound[: 4 * SAMPLES_PER_TICK])
        await session.send_text("can you hear me?")
        await session.send_audio(sound[4 * SAMPLES_PER_TICK :])
        events = [event async for event in events_of_answer(session)]
        await session.send_text("and now?")
        events += [event async for event in events_of_answer(session)]
    assert not [event for event in events if isinstance(event, Error)]
    text = [event for event in events if isinstance(event, TextDelta)]
    assert "".join(event.text for event in text) == "You said: can you hear me?You said: and now?"
    ticks = [event.tick for event in events if isinstance(event, TextDelta | AudioDelta)]
    assert None not in ticks
    assert ticks == sorted(ticks)
    heard = np.concatenate([event.pcm for event in events if isinstance(event, AudioDelta)])
    np.testing.assert_array_equal(heard, sound[: len(heard)] / np.float32(32_768))
    assert len(heard) >= 2 * SAMPLES_PER_TICK  # what had been heard when each question came


async def test_a_frame_that_was_seen_can_be_drawn(url: str) -> None:
    config = SessionConfig(outputs=(Output.TEXT, Output.IMAGE), video=True)
    async with connect(url, config=config) as session:
        await session.send_frame(picture((200, 30, 30)))
        await session.send_text("what do you see?")
        [drawn] = [event async for event in events_of_answer(session) if isinstance(event, ImageDone)]
    bgr = cv2.imdecode(np.frombuffer(drawn.data, np.uint8), cv2.IMREAD_COLOR)
    assert bgr.shape == (drawn.height, drawn.width, 3)
    assert np.abs(bgr.reshape(-1, 3).mean(axis=0) - (30, 30, 200)).max() < 8


async def test_a_picture_in_a_message_reaches_the_model(url: str) -> None:
    async with connect(url, config=SessionConfig(outputs=(Output.TEXT, Output.IMAGE))) as session:
        assert await session.ask("describe this:", picture((10, 200, 10))) == "You said: describe this:"


async def test_a_corrupt_frame_is_an_error_event_and_the_session_goes_on(url: str) -> None:
    async with connect(url, config=SessionConfig(video=True)) as session:
        await session.send_frame(b"\xff\xd8\xff\xe0 no picture at all")
        assert await session.ask("still there?") == "You said: still there?"
        await session.send_text("bye")
        errors = [event async for event in events_of_answer(session) if isinstance(event, Error)]
    assert len(errors) == 1


async def test_cancel_ends_a_long_answer(url: str) -> None:
    async with connect(url) as session:
        await session.send_text(LONG)
        said = []
        async for event in events_of_answer(session):
            if isinstance(event, TextDelta):
                if not said:
                    await session.cancel()
                said.append(event.text)
            elif isinstance(event, ResponseDone):
                assert event.status is ResponseStatus.CANCELLED
        assert len("".join(said)) < len(LONG)
        assert await session.ask("short") == "You said: short"


async def test_a_tool_call_goes_round(url: str) -> None:
    tool = Tool("clock", "The time of day", {"type": "object", "properties": {}})
    config = SessionConfig(tools=(tool,), tool_choice=ToolChoice.REQUIRED)
    async with connect(url, config=config) as session:
        await session.send_text("what time is it?")
        [call] = [event async for event in events_of_answer(session) if isinstance(event, ToolCall)]
        assert (call.name, call.arguments) == ("clock", "{}")
        await session.update(SessionConfig(tools=(tool,), tool_choice=ToolChoice.NONE))
        await session.call_output(call.call_id, "noon")
        request = await session.respond()
        events = [event async for event in events_of_answer(session)]
    assert [event.request_id for event in events if isinstance(event, ResponseStarted)] == [request]
    assert [event.status for event in events if isinstance(event, ResponseDone)] == [ResponseStatus.COMPLETED]


async def test_a_manual_turn_is_answered_with_what_was_spoken(url: str) -> None:
    sound = tone(num_ticks=3)
    async with connect(url, config=SessionConfig(outputs=(Output.AUDIO,), vad=None)) as session:
        await session.send_audio(sound)
        await session.commit()
        await session.respond()
        heard = [event.pcm async for event in events_of_answer(session) if isinstance(event, AudioDelta)]
    np.testing.assert_array_equal(np.concatenate(heard), sound / np.float32(32_768))


async def test_extensions_can_be_switched_off_again(url: str) -> None:
    async with connect(url, config=SessionConfig(outputs=(Output.TEXT, Output.IMAGE), video=True, ticks=True)) as s:
        await s.update(SessionConfig())
        await s.send_text("hello")
        events = [event async for event in events_of_answer(s)]
    assert not [event for event in events if isinstance(event, Error)]
    assert {event.tick for event in events if isinstance(event, TextDelta)} == {None}


async def test_a_server_with_keys_refuses_strangers_in_words(start_server) -> None:
    server = start_server(build_server(config_with(KeyRing(["right-key"])), EchoEngine()))
    address = f"ws://{server.address}/v1/realtime"
    for key in (None, "wrong-key"):
        with pytest.raises(CannotConnect, match=r"refused the key: .* \(HTTP 401\)"):
            async with connect(address, api_key=key):
                pass
    async with connect(address, api_key="right-key") as session:
        assert await session.ask("open?") == "You said: open?"


async def test_a_full_server_says_so(start_server) -> None:
    server = start_server(build_server(config_with(KeyRing()), EchoEngine(max_sessions=1)))
    address = f"ws://{server.address}/v1/realtime"
    async with connect(address):
        with pytest.raises(CannotConnect, match="refused the session"):
            async with connect(address):
                pass


async def test_the_terminal_chat_asks_once_and_leaves(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(parse_options([url, "--say", "good morning"], environment={})) == 0
    assert capsys.readouterr().out == "You said: good morning\n"
