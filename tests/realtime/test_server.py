"""The server over HTTP and WebSocket, as clients meet it."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from realtime.auth import KeyRing
from realtime.echo import EchoEngine
from realtime.recording.recorder import Direction, read_recording
from tests.realtime.wire import client_of, echo_server

KEY = "sk-test-key"


@pytest.fixture(scope="module")
def open_server(start_server: Callable[..., Any]) -> Any:
    """No keys; every test of this module may use it."""
    return start_server(echo_server())


@pytest.fixture(scope="module")
def keyed_server(start_server: Callable[..., Any]) -> Any:
    return start_server(echo_server(keys=KeyRing(["other", KEY])))


@pytest.fixture
def http(open_server: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{open_server.address}") as client:
        yield client


@pytest.fixture
def keyed_http(keyed_server: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{keyed_server.address}") as client:
        yield client


async def refusal_of(address: str, query: str = "", **options: Any) -> tuple[int, dict[str, Any], Any]:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://{address}/v1/realtime{query}", **options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body)["error"], response.headers


def sample(text: str, name: str, **labels: str) -> float:
    for family in text_string_to_metric_families(text):
        for found in family.samples:
            if found.name == name and found.labels == labels:
                return found.value
    raise AssertionError(f"no sample {name} {labels}")


# --- sessions over WebSocket ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "/", "?model=gpt-realtime&foo=bar", "/?model="])
async def test_a_typed_question_is_answered_whatever_the_url(open_server: Any, query: str) -> None:
    async with client_of(open_server.address, query) as client:
        assert await client.ask("hello there") == "You said: hello there"


async def test_sessions_side_by_side_get_their_own_answers(open_server: Any) -> None:
    async def talk(name: str) -> None:
        async with client_of(open_server.address) as client:
            for turn in range(5):
                assert await client.ask(f"{name} {turn}") == f"You said: {name} {turn}"

    await asyncio.gather(*(talk(name) for name in ("anna", "boris", "chloe", "dan")))


async def test_a_normal_close_is_answered_with_1000(open_server: Any) -> None:
    async with client_of(open_server.address) as client:
        await client.connection.close(1000, "bye")
        assert client.connection.close_code == 1000


async def test_an_out_of_band_response_uses_a_slot_of_its_own_and_gives_it_back(open_server: Any) -> None:
    async with client_of(open_server.address) as client:
        for number in range(3):
            content = [{"type": "input_text", "text": f"aside {number}"}]
            await client.send(
                "response.create",
                response={
                    "conversation": "none",
                    "output_modalities": ["text"],
                    "metadata": {"n": str(number)},
                    "input": [{"type": "message", "role": "user", "content": content}],
                },
            )
            done = (await client.receive_until("response.done"))["response"]
            assert done["metadata"] == {"n": str(number)}
            assert done["output"][0]["content"][0]["text"] == f"You said: aside {number}"
        assert client.strict.items == []
        assert await client.ask("and you?") == "You said: and you?"


async def test_a_transcription_session_is_asked_for_in_the_url(open_server: Any) -> None:
    async with client_of(open_server.address, "?intent=transcription") as client:
        assert client.strict.events[0]["session"]["type"] == "transcription"


async def test_the_subprotocol_is_realtime_and_the_key_is_never_echoed(keyed_server: Any) -> None:
    offered = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-agents-sdk.0.1"]
    async with client_of(keyed_server.address, subprotocols=offered) as client:
        assert client.connection.subprotocol == "realtime"
        assert client.connection.response is not None
        assert KEY not in str(client.connection.response.headers)


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {"api-key": KEY}])
async def test_a_key_in_a_header_opens_a_session(keyed_server: Any, headers: dict[str, str]) -> None:
    async with client_of(keyed_server.address, additional_headers=headers) as client:
        assert client.connection.subprotocol is None
        assert await client.ask("hi") == "You said: hi"


# --- refusals before the upgrade ------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_without_a_good_key_the_answer_is_401_with_the_error_body(
    keyed_server: Any, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    status, error, answered = await refusal_of(keyed_server.address, additional_headers=headers)
    assert status == 401
    assert error["code"] == "invalid_api_key"
    assert error["type"] == "invalid_request_error"
    assert answered["WWW-Authenticate"] == "Bearer"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_page_from_elsewhere_may_not_use_a_server_without_keys(open_server: Any) -> None:
    status, error, _ = await refusal_of(open_server.address, origin="https://example.com")
    assert status == 403
    assert error["code"] == "forbidden_origin"


async def test_a_page_of_this_machine_may(open_server: Any) -> None:
    async with client_of(open_server.address, origin="http://localhost:5173") as client:
        assert await client.ask("hi") == "You said: hi"


async def test_a_page_from_anywhere_may_use_a_server_with_keys(keyed_server: Any) -> None:
    offered = ["realtime", f"openai-insecure-api-key.{KEY}"]
    async with client_of(keyed_server.address, subprotocols=offered, origin="https://example.com") as client:
        assert await client.ask("hi") == "You said: hi"


async def test_an_unknown_call_is_not_found(open_server: Any) -> None:
    status, error, _ = await refusal_of(open_server.address, "?call_id=rtc_1")
    assert status == 404
    assert error["param"] == "call_id"


async def test_a_full_server_refuses_with_503_until_somebody_leaves(start_server: Callable[..., Any]) -> None:
    server = start_server(echo_server(engine=EchoEngine(max_sessions=1)))
    async with client_of(server.address) as client:
        status, error, headers = await refusal_of(server.address)
        assert status == 503
        assert error["code"] == "no_capacity"
        assert int(headers["Retry-After"]) > 0
        assert await client.ask("still here?") == "You said: still here?"
    for _ in range(100):  # the slot is given back a moment after the connection is gone
        try:
            async with client_of(server.address) as client:
                assert await client.ask("my turn") == "You said: my turn"
            break
        except InvalidStatus:
            continue
    else:
        pytest.fail("the slot was never given back")
    server.close()


# --- client secrets -------------------------------------------------------------------------------------------------


async def test_a_client_secret_opens_a_session_with_its_configuration(keyed_server: Any, keyed_http: Any) -> None:
    issued = keyed_http.post(
        "/v1/realtime/client_secrets",
        headers={"Authorization": f"Bearer {KEY}"},
        json={
            "expires_after": {"anchor": "created_at", "seconds": 60},
            "session": {"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]},
        },
    )
    assert issued.status_code == 200
    body = issued.json()
    assert body["value"].startswith("ek_")
    assert body["session"]["object"] == "realtime.session.session"
    assert body["session"]["instructions"] == "Be brief."
    offered = ["realtime", f"openai-insecure-api-key.{body['value']}"]
    for _ in range(2):  # it opens more than one
        async with client_of(keyed_server.address, subprotocols=offered) as client:
            session = client.strict.events[0]["session"]
            assert session["instructions"] == "Be brief."
            assert session["output_modalities"] == ["text"]


def test_client_secrets_need_a_key(keyed_http: Any) -> None:
    assert keyed_http.post("/v1/realtime/client_secrets").status_code == 401


def test_client_secrets_need_no_body(http: httpx.Client) -> None:
    assert http.post("/v1/realtime/client_secrets").json()["session"]["type"] == "realtime"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", "body"),
        (b"[" * 50_000, None),
        (b"\xff", None),
        (b'{"expires_after": {"seconds": 5}}', "expires_after.seconds"),
        (b'{"expires_after": {"seconds": true}}', "expires_after.seconds"),
        (b'{"expires_after": 600}', "expires_after"),
        (b'{"session": {"tools": 3}}', "session.tools"),
        (b'{"session": "x"}', "session"),
        (b" " * 70_000, None),
    ],
)
def test_a_bad_request_for_a_client_secret_says_what_is_wrong(
    http: httpx.Client, body: bytes, param: str | None
) -> None:
    answer = http.post("/v1/realtime/client_secrets", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_browsers_may_ask_for_client_secrets_from_allowed_origins(http: httpx.Client, keyed_http: httpx.Client) -> None:
    def preflight(client: httpx.Client, origin: str) -> httpx.Response:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-openai-agents-sdk",
        }
        return client.options("/v1/realtime/client_secrets", headers=asked)

    assert preflight(keyed_http, "https://example.com").headers["access-control-allow-origin"] == "*"
    local = preflight(http, "http://localhost:3000")
    assert local.status_code == 200
    assert local.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert preflight(http, "https://example.com").status_code == 400
    assert http.post("/v1/realtime/client_secrets", headers={"Origin": "https://example.com"}).status_code == 403


# --- the rest of HTTP -----------------------------------------------------------------------------------------------


def test_a_ready_server_says_so(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ready"}


def test_the_model_list_says_what_the_model_can_do(http: httpx.Client) -> None:
    (model,) = http.get("/v1/models").json()["data"]
    abilities = {"hears": True, "sees": True, "speaks": True, "draws": True, "self_paced": True, "voices": ["echo"]}
    assert (model["id"], model["object"], model["omniweave"]) == ("echo", "model", abilities)


def test_the_model_list_needs_a_key_where_the_server_does(keyed_http: httpx.Client) -> None:
    assert keyed_http.get("/v1/models").status_code == 401
    assert keyed_http.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_the_front_page_says_what_runs_where_there_is_no_browser_client(http: httpx.Client) -> None:
    assert "serves echo" in http.get("/").text


def test_a_browser_client_is_served_beside_the_protocol(start_server: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>client</title>")
    server = start_server(echo_server(browser_dir=tmp_path))
    with httpx.Client(base_url=f"http://{server.address}") as http:
        assert http.get("/").text == "<title>client</title>"
        assert http.get("/healthz").json() == {"status": "ready"}
    server.close()


def test_http_where_a_websocket_is_expected_is_told_to_upgrade(http: httpx.Client) -> None:
    answer = http.get("/v1/realtime?model=x")
    assert answer.status_code == 426
    assert "WebSocket" in answer.json()["error"]["message"]


async def test_metrics_count_what_happened(start_server: Callable[..., Any]) -> None:
    server = start_server(echo_server(keys=KeyRing([KEY])))
    async with client_of(server.address, additional_headers={"api-key": KEY}) as client:
        await client.ask("hello")
        await client.send("nonsense")
        await client.receive_until("error")
        await refusal_of(server.address)
        async with httpx.AsyncClient(base_url=f"http://{server.address}") as http:
            assert (await http.get("/metrics")).status_code == 401
            text = (await http.get("/metrics", headers={"Authorization": f"Bearer {KEY}"})).text
    server.close()
    assert sample(text, "omniweave_sessions") == 1
    assert sample(text, "omniweave_events_total", direction="in") == 3
    assert sample(text, "omniweave_events_total", direction="out") == len(client.strict.events)
    assert sample(text, "omniweave_client_errors_total") == 1
    assert sample(text, "omniweave_refused_total", why="invalid_api_key") == 2
    assert sample(text, "omniweave_ticks_total", kind="free") >= 1
    assert sample(text, "omniweave_engine_info", model="echo", backend="python", weights="none", build="echo-2") == 1


# --- recordings, logs, stopping -------------------------------------------------------------------------------------


async def test_sessions_are_recorded_and_the_recordings_are_whole_when_the_server_has_stopped(
    start_server: Callable[..., Any], tmp_path: Path
) -> None:
    server = start_server(echo_server(record_dir=tmp_path / "recordings"))
    async with client_of(server.address) as ended, client_of(server.address) as running:
        assert await ended.ask("one") == "You said: one"
        await ended.connection.close()
        assert await running.ask("two") == "You said: two"
        await asyncio.to_thread(server.close)
        code, reason = await running.wait_closed()
    assert (code, reason) == (1001, "the server is stopping")
    recordings = [read_recording(path) for path in sorted((tmp_path / "recordings").iterdir())]
    names = {client.strict.events[0]["session"]["id"] for client in (ended, running)}
    assert {recording.header.session for recording in recordings} == names
    for recording in recordings:
        assert recording.ending is None
        assert json.loads(recording.header.config_json)["id"] == recording.header.session
        sent = [event.text for event in recording.events() if event.direction is Direction.SERVER]
        assert json.loads(sent[-1])["type"] == "response.done"


async def test_a_stopping_server_is_not_ready_and_admits_nobody(start_server: Callable[..., Any]) -> None:
    server = echo_server()
    live = start_server(server)
    async with client_of(live.address) as client:
        server._host._stopping = True
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://{live.address}/healthz")
        assert answer.status_code == 503
        assert answer.json()["reason"] == "the server is stopping"
        status, error, _ = await refusal_of(live.address)
        assert (status, error["code"]) == (503, "not_ready")
        assert await client.ask("but I stay") == "You said: but I stay"
    live.close()


async def test_one_line_at_the_start_and_one_at_the_end_and_neither_has_keys_or_content(
    start_server: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="realtime")
    server = start_server(echo_server(keys=KeyRing([KEY])))
    async with client_of(server.address, additional_headers={"api-key": KEY}) as client:
        await client.ask("a secret thing")
        await client.send("a secret thing")
        await client.receive_until("error")
        await client.connection.close()
    await asyncio.to_thread(server.close)
    session = client.strict.events[0]["session"]["id"]
    began, ended = [record.getMessage() for record in caplog.records if session in record.getMessage()]
    assert began == f"session {session} began: key-1 from 127.0.0.1"
    assert "client_left (the client closed with 1000)" in ended
    assert "3 events (" in ended
    assert f"{len(client.strict.events)} events (" in ended
    assert KEY not in caplog.text
    assert "secret thing" not in caplog.text
