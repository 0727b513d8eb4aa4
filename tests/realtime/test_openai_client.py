"""The stock `openai` Python package, unmodified, against our server. Every event is validated strictly on the way."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI, AuthenticationError
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from realtime.auth import KeyRing
from tests.realtime.strict import StrictClient
from tests.realtime.wire import PATIENCE_S, echo_server

KEY = "sk-test-key"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Conversation:
    """A connection of the stock client, whose raw events go through the strict client as well."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.strict = StrictClient()

    async def receive(self) -> Any:
        """The next event, as the stock client's own type."""
        async with asyncio.timeout(PATIENCE_S):
            raw = await self.connection.recv_bytes()
        self.strict.receive(raw.decode())
        return self.connection.parse_event(raw)

    async def receive_until(self, kind: str) -> Any:
        while (event := await self.receive()).type != kind:
            pass
        return event

    async def say(self, text: str) -> None:
        await self.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        )


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Any]) -> Any:
    return start_server(echo_server(keys=KeyRing([KEY])))


@pytest.fixture
async def client(server: Any) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=f"http://{server.address}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
async def talk(client: AsyncOpenAI) -> AsyncIterator[Conversation]:
    """A text session that has been greeted."""
    async with client.realtime.connect(model="gpt-realtime") as connection:
        talk = Conversation(connection)
        await talk.receive_until("session.created")
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        updated = await talk.receive_until("session.updated")
        assert updated.session.output_modalities == ["text"]
        yield talk


async def test_a_typed_turn_streams_deltas_that_add_up(talk: Conversation) -> None:
    await talk.say("the quick brown fox jumps over the lazy dog")
    await talk.connection.response.create()
    done = await talk.receive_until("response.done")
    assert done.response.status == "completed"
    assert done.response.output[0].content[0].text == "You said: the quick brown fox jumps over the lazy dog"
    assert len(talk.strict.of("response.output_text.delta")) > 1
    assert done.response.usage.output_tokens > 0
    assert done.response.usage.total_tokens == done.response.usage.input_tokens + done.response.usage.output_tokens


async def test_several_turns_keep_their_order(talk: Conversation) -> None:
    for text in ("one", "two", "three"):
        await talk.say(text)
        await talk.connection.response.create()
        done = await talk.receive_until("response.done")
        assert done.response.output[0].content[0].text == f"You said: {text}"
    assert len(talk.strict.items) == 6


async def test_a_cancelled_response_ends_and_the_next_one_is_whole(talk: Conversation) -> None:
    await talk.say("word " * 2_000)
    await talk.connection.response.create()
    await talk.receive_until("response.output_text.delta")
    await talk.connection.response.cancel()
    done = await talk.receive_until("response.done")
    assert done.response.status == "cancelled"
    assert done.response.status_details.reason == "client_cancelled"
    await talk.connection.response.cancel()
    late = await talk.receive_until("error")
    assert late.error.code == "response_cancel_not_active"
    await talk.say("again")
    await talk.connection.response.create()
    done = await talk.receive_until("response.done")
    assert done.response.output[0].content[0].text == "You said: again"


async def test_a_tool_call_makes_the_round_trip(talk: Conversation) -> None:
    await talk.connection.session.update(session={"type": "realtime", "tools": [WEATHER], "tool_choice": "required"})
    updated = await talk.receive_until("session.updated")
    assert updated.session.tools[0].name == "get_weather"
    await talk.say("What is the weather in Paris?")
    await talk.connection.response.create()
    done = await talk.receive_until("response.done")
    call = done.response.output[0]
    assert (call.type, call.name, call.arguments, call.status) == ("function_call", "get_weather", "{}", "completed")
    await talk.connection.conversation.item.create(
        item={"type": "function_call_output", "call_id": call.call_id, "output": '{"sky": "clear"}'}
    )
    added = await talk.receive_until("conversation.item.added")
    assert added.item.call_id == call.call_id
    await talk.connection.response.create(response={"tool_choice": "none"})
    done = await talk.receive_until("response.done")
    assert done.response.status == "completed"
    assert done.response.output[0].type == "message"


async def test_an_out_of_band_response_runs_beside_another_and_joins_nothing(talk: Conversation) -> None:
    await talk.say("word " * 400)
    await talk.receive_until("conversation.item.done")
    await talk.connection.response.create()
    await talk.receive_until("response.output_text.delta")
    content = [{"type": "input_text", "text": "aside"}]
    await talk.connection.response.create(
        response={
            "conversation": "none",
            "metadata": {"topic": "aside"},
            "input": [{"type": "message", "role": "user", "content": content}],
        }
    )
    done = [(await talk.receive_until("response.done")).response for _ in range(2)]
    aside = next(response for response in done if response.metadata)
    assert aside.metadata == {"topic": "aside"}
    assert aside.conversation_id is None
    assert aside.output[0].content[0].text == "You said: aside"
    assert len(talk.strict.items) == 2


async def test_items_are_retrieved_and_deleted(talk: Conversation) -> None:
    await talk.say("remember me")
    item = (await talk.receive_until("conversation.item.done")).item
    await talk.connection.conversation.item.retrieve(item_id=item.id)
    retrieved = await talk.receive_until("conversation.item.retrieved")
    assert retrieved.item.content[0].text == "remember me"
    await talk.connection.conversation.item.delete(item_id=item.id)
    assert (await talk.receive_until("conversation.item.deleted")).item_id == item.id
    await talk.connection.conversation.item.retrieve(item_id=item.id)
    assert (await talk.receive_until("error")).error.code == "item_retrieve_invalid_item_id"


async def test_a_voice_comes_back_with_push_to_talk(client: AsyncOpenAI) -> None:
    tone = (np.sin(np.arange(24_000) * 2 * np.pi * 440 / 24_000) * 12_000).astype("<i2").tobytes()
    async with client.realtime.connect(model="gpt-realtime") as connection:
        talk = Conversation(connection)
        await talk.receive_until("session.created")
        await connection.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        for start in range(0, len(tone), 4_800):
            await connection.input_audio_buffer.append(audio=base64.b64encode(tone[start : start + 4_800]).decode())
        await connection.input_audio_buffer.commit()
        await talk.receive_until("input_audio_buffer.committed")
        await connection.response.create()
        done = await talk.receive_until("response.done")
        assert done.response.status == "completed"
        assert done.response.output[0].content[0].transcript == "You spoke."
        deltas = [base64.b64decode(event["delta"]) for event in talk.strict.of("response.output_audio.delta")]
        assert b"".join(deltas) == tone


async def test_a_client_secret_is_issued_and_opens_a_session(client: AsyncOpenAI, server: Any) -> None:
    issued = await client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "realtime", "instructions": "Be brief."},
    )
    assert issued.session.instructions == "Be brief."
    async with (
        AsyncOpenAI(api_key=issued.value, base_url=f"http://{server.address}/v1") as browser,
        browser.realtime.connect(model="gpt-realtime") as connection,
    ):
        created = await Conversation(connection).receive_until("session.created")
        assert created.session.instructions == "Be brief."


async def test_the_model_is_listed_with_what_it_can_do(client: AsyncOpenAI) -> None:
    (model,) = [model async for model in client.models.list()]
    assert model.id == "echo"
    assert model.model_extra is not None
    assert model.model_extra["omniweave"]["hears"] is True


async def test_a_wrong_key_is_an_authentication_error(server: Any) -> None:
    async with AsyncOpenAI(api_key="wrong", base_url=f"http://{server.address}/v1", max_retries=0) as client:
        with pytest.raises(AuthenticationError, match="not one of this server's"):
            await client.realtime.client_secrets.create()
        with pytest.raises(AuthenticationError):
            await client.models.list()
