"""The stock `openai-agents` package, unmodified, against our server.

It validates every event with pydantic and turns what it cannot read into error events; here any error fails the test,
and the raw events pass the strict client as well.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from agents import function_tool, set_tracing_disabled
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from agents.realtime.model_inputs import RealtimeModelSendRawMessage, RealtimeModelSendSessionUpdate

from tests.realtime.strict import StrictClient
from tests.realtime.wire import PATIENCE_S, echo_server

set_tracing_disabled(True)


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Any]) -> Any:
    return start_server(echo_server())


class Talk:
    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.strict = StrictClient()
        self.seen: list[Any] = []
        self._events = aiter(session)

    async def receive(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            event = await anext(self._events)
        assert event.type != "error", event.error
        if event.type == "raw_model_event" and event.data.type == "raw_server_event":
            self.strict.receive(json.dumps(event.data.data))
        self.seen.append(event)
        return event

    async def receive_until(self, kind: str) -> Any:
        while (event := await self.receive()).type != kind:
            pass
        return event

    async def receive_until_raw(self, kind: str) -> dict[str, Any]:
        """Until the server's event of this type has passed through the client."""
        known = len(self.strict.of(kind))
        while len(self.strict.of(kind)) == known:
            await self.receive()
        return self.strict.last(kind)


@asynccontextmanager
async def talk_to(server: Any, agent: RealtimeAgent[Any], **settings: Any) -> AsyncIterator[Talk]:
    config: Any = {
        "url": f"ws://{server.address}/v1/realtime?model=gpt-realtime",
        "api_key": "sk-any",
        "initial_model_settings": settings,
    }
    session = await RealtimeRunner(agent).run(model_config=config)
    async with session:
        yield Talk(session)


def texts(history: list[Any], role: str) -> list[str | None]:
    return [
        part.text if part.type in ("text", "input_text") else part.transcript
        for item in history
        if item.type == "message" and item.role == role
        for part in item.content
    ]


async def test_a_text_turn_reaches_the_history(server: Any) -> None:
    agent = RealtimeAgent(name="echo", instructions="Say it back.")
    async with talk_to(server, agent, output_modalities=["text"]) as talk:
        await talk.session.send_message("hello agents")
        await talk.receive_until_raw("response.done")
        await talk.receive_until("agent_end")
        session = talk.strict.last("session.updated")["session"]
        assert session["instructions"] == "Say it back."
        assert session["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
        history = [event for event in talk.seen if event.type == "history_updated"][-1].history
        assert texts(history, "user") == ["hello agents"]
        assert texts(history, "assistant") == ["You said: hello agents"]


async def test_a_function_tool_runs_once_and_its_output_is_answered(server: Any) -> None:
    cities: list[str] = []

    @function_tool
    async def get_weather() -> str:
        """The weather."""
        cities.append("called")
        settings = RealtimeModelSendSessionUpdate(session_settings={"tool_choice": "none"})
        await talk.session.model.send_event(settings)  # an echo calls a required tool whenever it is asked
        return "sunny"

    agent = RealtimeAgent(name="echo", tools=[get_weather])
    async with talk_to(server, agent, output_modalities=["text"], tool_choice="required") as talk:
        await talk.session.send_message("what is the weather?")
        assert (await talk.receive_until("tool_start")).tool.name == "get_weather"
        assert (await talk.receive_until("tool_end")).output == "sunny"
        while not talk.strict.events or "message" not in [
            item["type"] for done in talk.strict.of("response.done") for item in done["response"]["output"]
        ]:
            await talk.receive()
    assert cities == ["called"]
    outputs = [event["item"] for event in talk.strict.of("conversation.item.added")]
    assert [item["output"] for item in outputs if item["type"] == "function_call_output"] == ["sunny"]


async def test_an_interruption_cancels_the_response_and_the_conversation_goes_on(server: Any) -> None:
    agent = RealtimeAgent(name="echo")  # with turn detection, the SDK leaves it to the server to cancel
    async with talk_to(server, agent, output_modalities=["text"], turn_detection=None) as talk:
        await talk.session.send_message("word " * 2_000)
        await talk.receive_until_raw("response.output_text.delta")
        await talk.session.interrupt()
        done = await talk.receive_until_raw("response.done")
        assert done["response"]["status"] == "cancelled"
        await talk.session.send_message("still there?")
        done = await talk.receive_until_raw("response.done")
        assert done["response"]["output"][0]["content"][0]["text"] == "You said: still there?"


async def test_a_voice_comes_back(server: Any) -> None:
    tone = (np.sin(np.arange(24_000) * 2 * np.pi * 440 / 24_000) * 12_000).astype("<i2").tobytes()
    async with talk_to(server, RealtimeAgent(name="echo"), turn_detection=None) as talk:
        await talk.receive_until_raw("session.updated")
        for start in range(0, len(tone), 4_800):
            await talk.session.send_audio(tone[start : start + 4_800], commit=start + 4_800 >= len(tone))
        await talk.receive_until_raw("input_audio_buffer.committed")
        await talk.session.model.send_event(RealtimeModelSendRawMessage(message={"type": "response.create"}))
        await talk.receive_until("audio_end")
    heard = b"".join(event.audio.data for event in talk.seen if event.type == "audio")
    assert heard == tone
