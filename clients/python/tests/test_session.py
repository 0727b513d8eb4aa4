"""The session against a scripted fake server."""

import asyncio
import base64
import itertools
import json

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from omniweave_client import (
    AudioDelta,
    CannotConnect,
    ConnectionLost,
    Direction,
    Error,
    Output,
    ResponseDone,
    ResponseStarted,
    ResponseStatus,
    ServerError,
    SessionClosed,
    SessionConfig,
    SessionCreated,
    SessionUpdated,
    TextDelta,
    Tool,
    ToolCall,
    Unknown,
    Usage,
    Vad,
    connect,
)
from omniweave_client.session import MAX_QUEUED_EVENTS

JPEG = b"\xff\xd8\xff\xe0 not a whole picture"


async def wait_for_close(peer) -> None:
    with pytest.raises(ConnectionClosed):
        await peer.receive("nothing is called this")


async def until_full(session) -> None:
    async with session._changed:
        await session._changed.wait_for(lambda: len(session._queue) == MAX_QUEUED_EVENTS)


async def test_connecting_configures_the_session_and_iteration_begins_with_its_first_events(fake) -> None:
    configs = []

    async def script(peer) -> None:
        configs.append(await peer.greet())

    url = await fake.start(script)
    async with connect(url, config=SessionConfig(instructions="Be brief.")) as session:
        assert (session.id, session.model) == ("sess_fake", "fake server, no model")
        events = [event async for event in session]
    assert [type(event) for event in events] == [SessionCreated, SessionUpdated]
    assert configs[0]["instructions"] == "Be brief."
    assert "omniweave" not in configs[0]


async def test_by_default_speech_neither_starts_nor_stops_an_answer(fake) -> None:
    detection = SessionConfig().to_wire()["audio"]["input"]["turn_detection"]
    assert detection["type"] == "server_vad"
    assert (detection["create_response"], detection["interrupt_response"]) == (False, False)
    detection = SessionConfig(voice_turns=True).to_wire()["audio"]["input"]["turn_detection"]
    assert (detection["create_response"], detection["interrupt_response"]) == (True, True)
    assert SessionConfig(vad=None).to_wire()["audio"]["input"]["turn_detection"] is None


async def test_extensions_are_switched_on_and_off_again_by_name(fake) -> None:
    sent = []

    async def script(peer) -> None:
        sent.append(await peer.greet())
        sent.append((await peer.receive("session.update"))["session"])
        await wait_for_close(peer)

    url = await fake.start(script)
    config = SessionConfig(outputs=(Output.TEXT, Output.AUDIO, Output.IMAGE), video=True, ticks=True)
    async with connect(url, config=config) as session:
        await session.update(SessionConfig())
    assert sent[0]["omniweave"] == {"outputs": ["text", "audio", "image"], "video": True, "ticks": True}
    assert sent[0]["output_modalities"] == ["audio"]
    assert sent[1]["omniweave"] == {"outputs": None, "video": False, "ticks": False}
    assert sent[1]["output_modalities"] == ["text"]


async def test_ask_returns_the_whole_answer_and_questions_may_follow_each_other(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        with pytest.raises(ConnectionClosed):
            await peer.answer_every_question()

    url = await fake.start(script)
    async with connect(url) as session:
        assert await session.ask("one") == "You said: one"
        assert await session.ask("two") == "You said: two"


async def test_questions_asked_at_once_are_answered_one_after_the_other(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        with pytest.raises(ConnectionClosed):
            await peer.answer_every_question()
        kinds = [event["type"] for event in peer.received[1:]]
        assert kinds == ["conversation.item.create", "response.create"] * 3

    url = await fake.start(script)
    async with connect(url) as session:
        answers = await asyncio.gather(*(session.ask(word) for word in ("a", "b", "c")))
    assert answers == ["You said: a", "You said: b", "You said: c"]


async def test_an_answer_is_told_apart_from_another_response_that_runs_beside_it(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        request = await peer.receive("response.create")
        await peer.start_response("resp_voice")
        await peer.start_response("resp_typed", request)
        await peer.write("resp_voice", "not this")
        await peer.write("resp_typed", "this")
        await peer.end_response("resp_voice", "cancelled")
        await peer.end_response("resp_typed")
        await wait_for_close(peer)

    url = await fake.start(script)
    async with connect(url) as session:
        answer = await session.answer("which?")
    assert (answer.response_id, answer.text, answer.status) == ("resp_typed", "this", ResponseStatus.COMPLETED)
    assert answer.usage == Usage(input_tokens=7, output_tokens=3, cached_tokens=2)
    assert 0 <= answer.first_token_us <= answer.total_us


async def test_a_question_waits_for_a_running_answer_and_asks_again_if_the_server_was_faster(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        early = await peer.receive("response.create")
        await peer.start_response("resp_voice")  # speech got there first
        busy = {"message": "busy", "code": "conversation_already_has_active_response", "event_id": early["event_id"]}
        await peer.send("error", error=busy | {"type": "invalid_request_error", "param": None})
        await peer.end_response("resp_voice")
        late = await peer.receive("response.create")
        assert late["event_id"] != early["event_id"]
        await peer.start_response("resp_typed", late)
        await peer.write("resp_typed", "now")
        await peer.end_response("resp_typed")
        assert [event["type"] for event in peer.received].count("conversation.item.create") == 1
        await wait_for_close(peer)

    url = await fake.start(script)
    async with connect(url) as session:
        assert await session.ask("hello?") == "now"


@pytest.mark.parametrize("refused", ["conversation.item.create", "response.create"])
async def test_a_refused_question_raises_what_the_server_said(fake, refused: str) -> None:
    async def script(peer) -> None:
        await peer.greet()
        event = await peer.receive(refused)
        error = {"message": "too long", "code": "invalid_value", "param": "item", "event_id": event["event_id"]}
        await peer.send("error", error=error)
        await wait_for_close(peer)

    url = await fake.start(script)
    async with connect(url) as session:
        with pytest.raises(ServerError, match="too long") as caught:
            await session.ask("x")
    assert (caught.value.code, caught.value.param) == ("invalid_value", "item")


async def test_a_failed_answer_raises_and_a_cut_one_returns_what_there_is(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        for number, (status, details) in enumerate(
            [
                ("failed", {"type": "failed", "error": {"type": "server_error", "message": "out of memory"}}),
                ("incomplete", {"type": "incomplete", "reason": "max_output_tokens"}),
            ]
        ):
            request = await peer.receive("response.create")
            await peer.start_response(f"resp_{number}", request)
            await peer.write(f"resp_{number}", "half")
            await peer.end_response(f"resp_{number}", status, status_details=details)
        await wait_for_close(peer)

    url = await fake.start(script)
    async with connect(url) as session:
        with pytest.raises(ServerError, match="out of memory"):
            await session.ask("x")
        answer = await session.answer("y")
    assert (answer.text, answer.status, answer.reason) == ("half", ResponseStatus.INCOMPLETE, "max_output_tokens")


async def test_giving_up_on_an_answer_cancels_it(fake) -> None:
    started = asyncio.Event()

    async def script(peer) -> None:
        await peer.greet()
        await peer.start_response("resp_1", await peer.receive("response.create"))
        await peer.write("resp_1", "well")
        cancel = await peer.receive("response.cancel")
        assert cancel["response_id"] == "resp_1"
        await peer.end_response("resp_1", "cancelled")
        await peer.start_response("resp_2", await peer.receive("response.create"))
        await peer.end_response("resp_2")
        await wait_for_close(peer)

    url = await fake.start(script)
    async with connect(url) as session:
        question = asyncio.create_task(session.ask("long story"))
        async for event in session:
            if isinstance(event, TextDelta):
                started.set()
                break
        question.cancel()
        with pytest.raises(asyncio.CancelledError):
            await question
        assert await session.ask("short one") == ""


async def test_iteration_and_an_awaited_answer_see_the_same_events(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        request = await peer.receive("response.create")
        await peer.start_response("resp_1", request)
        await peer.write("resp_1", "a", "b")
        await peer.end_response("resp_1")

    url = await fake.start(script)
    async with connect(url) as session:
        question = asyncio.create_task(session.ask("x"))
        events = [event async for event in session][2:]
        assert await question == "ab"
    assert [type(event) for event in events] == [ResponseStarted, TextDelta, TextDelta, ResponseDone]


async def test_unknown_and_broken_events_do_not_end_the_iteration(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        await peer.send("response.new_idea", value=1)
        await peer.connection.send("not json")
        await peer.connection.send("[1, 2]")
        await peer.connection.send(b"\x00\xff")
        await peer.send("response.output_audio.delta", response_id="resp_1", delta="AAAA")  # an odd byte
        await peer.send("response.output_text.delta", response_id=17, delta="a")
        await peer.send("response.done", response={"id": "resp_1", "status": "excellent"})
        await peer.write("resp_1", "still here")

    url = await fake.start(script)
    async with connect(url) as session:
        events = [event async for event in session][2:]
    assert all(isinstance(event, Unknown) for event in events[:-1])
    assert [event.type for event in events[:-1]] == [
        "response.new_idea",
        "",
        "",
        "",
        "response.output_audio.delta",
        "response.output_text.delta",
        "response.done",
    ]
    assert events[-1] == TextDelta("resp_1", "still here", None)


async def test_server_errors_are_events_and_the_session_goes_on(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        await peer.send("error", error={"message": "no such item", "code": None, "param": None, "event_id": None})
        await peer.write("resp_1", "next")

    url = await fake.start(script)
    async with connect(url) as session:
        events = [event async for event in session][2:]
    assert events == [Error("no such item", None, None, None), TextDelta("resp_1", "next", None)]


async def test_sound_goes_out_as_pcm16_in_pieces_and_comes_back_as_floats(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        sound = b""
        while len(sound) < 2 * 30_000:
            event = await peer.receive("input_audio_buffer.append")
            piece = base64.b64decode(event["audio"])
            assert len(piece) <= 2 * 24_000
            sound += piece
        await peer.send(
            "response.output_audio.delta", response_id="resp_1", delta=base64.b64encode(sound).decode(), tick=12
        )

    url = await fake.start(script)
    pcm = np.linspace(-1, 1, 30_000, dtype=np.float32)
    async with connect(url) as session:
        await session.send_audio(pcm)
        [event] = [event async for event in session if isinstance(event, AudioDelta)]
    assert event.tick == 12
    assert event.pcm.dtype == np.float32
    assert np.abs(event.pcm - pcm).max() <= 1 / 32_768


async def test_frames_images_turn_ends_and_call_outputs_reach_the_server(fake) -> None:
    seen = []

    async def script(peer) -> None:
        await peer.greet()
        seen.extend([await peer.receive() for _ in range(8)])

    url = await fake.start(script)
    async with connect(url, config=SessionConfig(video=True)) as session:
        await session.send_frame(JPEG)
        await session.send_frame(np.zeros((4, 6, 3), np.uint8))
        await session.send_image(JPEG, "what is this?")
        await session.commit()
        await session.clear()
        await session.cancel("resp_1")
        await session.call_output("call_1", '{"celsius": 21}')
        await session.respond(instructions="In French.", output=Output.AUDIO, max_output_tokens=50)
        _ = [event async for event in session]
    frame, png, image, commit, clear, cancel, output, respond = seen
    assert frame["type"] == "omniweave.video.append"
    assert base64.b64decode(frame["image"]) == JPEG
    assert base64.b64decode(png["image"]).startswith(b"\x89PNG")
    text, picture = image["item"]["content"]
    assert text == {"type": "input_text", "text": "what is this?"}
    assert picture["image_url"] == "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()
    assert (commit["type"], clear["type"]) == ("input_audio_buffer.commit", "input_audio_buffer.clear")
    assert cancel["response_id"] == "resp_1"
    assert output["item"] == {"type": "function_call_output", "call_id": "call_1", "output": '{"celsius": 21}'}
    assert respond["response"]["metadata"] == {"client_event_id": respond["event_id"]}
    assert respond["response"]["output_modalities"] == ["audio"]
    assert respond["response"]["instructions"] == "In French."
    assert respond["response"]["max_output_tokens"] == 50


async def test_tools_are_offered_and_calls_arrive_whole(fake) -> None:
    configs = []

    async def script(peer) -> None:
        configs.append(await peer.greet())
        await peer.send(
            "response.function_call_arguments.done",
            response_id="resp_1",
            item_id="item_1",
            output_index=0,
            call_id="call_1",
            name="weather",
            arguments='{"city": "Oslo"}',
        )

    url = await fake.start(script)
    tool = Tool("weather", "Today's weather", {"type": "object", "properties": {"city": {"type": "string"}}})
    async with connect(url, config=SessionConfig(tools=(tool,))) as session:
        events = [event async for event in session][2:]
    assert configs[0]["tools"][0]["name"] == "weather"
    assert events == [ToolCall("resp_1", "call_1", "weather", '{"city": "Oslo"}')]


async def test_a_broken_connection_raises_in_words_for_whoever_is_waiting(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        await peer.receive("response.create")
        await peer.connection.close(1011, "the engine died")

    url = await fake.start(script)
    async with connect(url) as session:
        with pytest.raises(ConnectionLost, match=r"the engine died \(code 1011\)"):
            await session.ask("x")
        with pytest.raises(ConnectionLost, match="the engine died"):
            _ = [event async for event in session]
        with pytest.raises(ConnectionLost, match="the engine died"):
            await session.commit()


async def test_a_session_the_server_ended_normally_refuses_commands(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()

    url = await fake.start(script)
    async with connect(url) as session:
        _ = [event async for event in session]
        with pytest.raises(SessionClosed):
            await session.ask("anyone?")


async def test_an_unread_session_makes_the_server_wait_and_loses_nothing(fake) -> None:
    num_events = 20_000

    async def script(peer) -> None:
        await peer.greet()
        for number in range(num_events):
            await peer.write("resp_1", f"{number} {'x' * 1_000}")
        await peer.connection.close()

    url = await fake.start(script)
    async with connect(url) as session:
        await until_full(session)
        texts = [event.text async for event in session if isinstance(event, TextDelta)]
    assert [int(text.split()[0]) for text in texts] == list(range(num_events))
    assert session.dropped_events == 0


async def test_an_answer_comes_through_even_if_nobody_iterates_and_the_loss_is_counted(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        for _ in range(MAX_QUEUED_EVENTS + 50):
            await peer.write("resp_other", "noise")
        await peer.start_response("resp_1", await peer.receive("response.create"))
        await peer.write("resp_1", "found")
        await peer.end_response("resp_1")
        await wait_for_close(peer)

    url = await fake.start(script)
    async with connect(url) as session:
        assert await session.ask("where?") == "found"
        assert session.dropped_events > 0
        assert len(session._queue) == MAX_QUEUED_EVENTS


async def test_leaving_with_unread_events_closes_normally(fake) -> None:
    code = asyncio.get_running_loop().create_future()

    async def script(peer) -> None:
        await peer.greet()
        with pytest.raises(ConnectionClosed):
            await peer.write("resp_1", *itertools.repeat("x" * 1_000, 10**6))
        code.set_result(peer.connection.close_code)

    url = await fake.start(script)
    async with connect(url) as session:
        await until_full(session)
    assert await code == 1000


async def test_cancelling_the_program_closes_the_connection_normally(fake) -> None:
    code = asyncio.get_running_loop().create_future()
    greeted = asyncio.Event()

    async def script(peer) -> None:
        await peer.greet()
        await wait_for_close(peer)
        code.set_result(peer.connection.close_code)

    url = await fake.start(script)

    async def program() -> None:
        async with connect(url) as session:
            greeted.set()
            async for _ in session:
                pass

    task = asyncio.create_task(program())
    await greeted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await code == 1000


async def test_the_tap_sees_every_frame_in_both_directions(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        await peer.receive("input_audio_buffer.commit")

    url = await fake.start(script)
    frames = []
    async with connect(url, tap=lambda direction, frame: frames.append((direction, json.loads(frame)["type"]))) as s:
        await s.commit()
        _ = [event async for event in s]
    assert frames == [
        (Direction.RECEIVED, "session.created"),
        (Direction.SENT, "session.update"),
        (Direction.RECEIVED, "session.updated"),
        (Direction.SENT, "input_audio_buffer.commit"),
    ]


# --- no session -----------------------------------------------------------------------------------------------------


async def test_nobody_listening_is_said_in_words(fake) -> None:
    url = await fake.start(lambda peer: peer.greet())
    fake.servers[0].close()
    await fake.servers[0].wait_closed()
    with pytest.raises(CannotConnect, match="nothing listens at"):
        async with connect(url):
            pass


async def test_an_address_that_is_none_is_said_in_words() -> None:
    with pytest.raises(CannotConnect, match="not a WebSocket address"):
        async with connect("http://localhost:8080"):
            pass


async def test_a_refused_key_shows_the_servers_reason_and_the_key_was_sent_as_bearer(fake) -> None:
    keys = []

    def refuse(connection, request):
        keys.append(request.headers["Authorization"])
        return connection.respond(401, '{"error": {"message": "The API key is not one of this server\'s."}}')

    url = await fake.start(lambda peer: peer.greet(), process_request=refuse)
    with pytest.raises(CannotConnect, match=r"refused the key: The API key is not one of .* \(HTTP 401\)"):
        async with connect(url, api_key="sk-wrong"):
            pass
    assert keys == ["Bearer sk-wrong"]


async def test_a_full_server_and_one_without_a_json_body_are_said_in_words(fake) -> None:
    url = await fake.start(lambda p: p.greet(), process_request=lambda connection, _: connection.respond(503, "full"))
    with pytest.raises(CannotConnect, match=r"refused the session: .*HTTP 503"):
        async with connect(url):
            pass


async def test_a_refused_configuration_is_no_session(fake) -> None:
    async def script(peer) -> None:
        await peer.send("session.created", session={"id": "sess_fake"})
        update = await peer.receive("session.update")
        await peer.send("error", error={"message": "unknown voice", "event_id": update["event_id"]})
        await wait_for_close(peer)

    url = await fake.start(script)
    with pytest.raises(CannotConnect, match="refused the configuration: unknown voice"):
        async with connect(url, config=SessionConfig(voice="nobody")):
            pass


async def test_a_server_of_another_protocol_is_no_session(fake) -> None:
    async def script(peer) -> None:
        await peer.connection.send("welcome to the chat")
        await wait_for_close(peer)

    url = await fake.start(script)
    with pytest.raises(CannotConnect, match="does not speak the Realtime protocol"):
        async with connect(url):
            pass


async def test_a_server_that_closes_before_the_greeting_is_no_session(fake) -> None:
    async def script(peer) -> None:
        await peer.connection.close(1013, "starting")

    url = await fake.start(script)
    with pytest.raises(CannotConnect, match=r"starting \(code 1013\)"):
        async with connect(url):
            pass


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: SessionConfig(outputs=()), "outputs"),
        (lambda: SessionConfig(outputs=(Output.TEXT, Output.TEXT)), "outputs"),
        (lambda: SessionConfig(max_output_tokens=0), "max_output_tokens"),
        (lambda: Vad(threshold=1.5), "1.5"),
        (lambda: Vad(silence_duration_ms=-1), "-1"),
    ],
)
def test_a_senseless_configuration_names_the_bad_value(build, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        build()
