"""The three shapes in which clients ask for a call, and what else may come."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from msgspec import UNSET
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from realtime.protocol.errors import ProtocolError
from realtime.protocol.session_patch import parse_patch
from realtime.transports.webrtc.request import MAX_BODY_BYTES, CallRequest, overlaid, read_call_request
from tests.realtime.transports.webrtc.test_offer import AUDIO, CHANNEL, HEAD

SDP = HEAD + AUDIO + CHANNEL
SESSION = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"voice": "marin"}}}


class Reader:
    """An application that reads call requests and keeps them."""

    def __init__(self) -> None:
        self.requests: list[CallRequest] = []
        self.app = Starlette(routes=[Route("/calls", self.read, methods=["POST"])])

    async def read(self, request: Request) -> Response:
        try:
            self.requests.append(await read_call_request(request))
        except ProtocolError as error:
            return JSONResponse({"message": error.message, "param": error.param}, 400)
        return Response(status_code=201)

    def post(self, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return await client.post("/calls", **options)

        return asyncio.run(send())


@pytest.fixture
def reader() -> Reader:
    return Reader()


def body(content: bytes, kind: str = "application/sdp") -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": kind}}


def multipart(*parts: tuple[str, str, str]) -> dict[str, Any]:
    """A form of (name, further headers, content)."""
    written = "".join(
        f'--line\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{content}\r\n'
        for name, more, content in parts
    )
    return {
        "content": (written + "--line--\r\n").encode(),
        "headers": {"Content-Type": "multipart/form-data; boundary=line"},
    }


@pytest.mark.parametrize("kind", ["application/sdp", "application/sdp; charset=utf-8", "text/plain"])
def test_an_offer_may_be_the_whole_body(reader: Reader, kind: str):
    assert reader.post(content=SDP, headers={"Content-Type": kind}).status_code == 201
    (request,) = reader.requests
    assert request.offer.sdp == SDP
    assert request.patch == parse_patch({}, "session")


@pytest.mark.parametrize(
    ("sdp_headers", "session_headers"),
    [
        ("\r\nContent-Type: application/sdp", "\r\nContent-Type: application/json"),  # the openai packages
        ("", ""),  # a page's FormData with two strings
        ('; filename="blob"\r\nContent-Type: application/sdp', '; filename="blob"\r\nContent-Type: application/json'),
    ],
)
def test_a_form_may_bring_the_session_along(reader: Reader, sdp_headers: str, session_headers: str):
    form = multipart(("sdp", sdp_headers, SDP), ("session", session_headers, json.dumps(SESSION)))
    assert reader.post(**form).status_code == 201
    (request,) = reader.requests
    assert request.offer.sdp == SDP
    assert request.patch.instructions == "Be brief."


def test_a_form_needs_no_session(reader: Reader):
    assert reader.post(**multipart(("sdp", "", SDP))).status_code == 201
    assert reader.requests[0].patch.instructions is UNSET


@pytest.mark.parametrize(
    ("options", "why", "param"),
    [
        ({"json": {"sdp": SDP}}, "not 'application/json'", "body"),
        ({"content": "hello", "headers": {"Content-Type": "application/sdp"}}, "must be SDP", "sdp"),
        ({"content": b"\xff\xfe", "headers": {"Content-Type": "application/sdp"}}, "not UTF-8", "body"),
        (
            {"content": b"v" * (MAX_BODY_BYTES + 1), "headers": {"Content-Type": "application/sdp"}},
            "longer than",
            "body",
        ),
        (multipart(("session", "", "{}")), "no part named sdp", "sdp"),
        (multipart(("sdp", "", SDP), ("session", "", "{")), "not valid JSON", "session"),
        (multipart(("sdp", "", SDP), ("session", "", "[]")), "must be an object", "session"),
        (multipart(("sdp", "", SDP), ("session", "", '{"tools": 3}')), "must be an array", "session.tools"),
        (multipart(*[("sdp", "", SDP)] * 9), "cannot be read", "body"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "cannot be read", "body"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=line"}},
            "cannot be read",
            "body",
        ),
    ],
)
def test_anything_else_is_refused_in_words(reader: Reader, options: dict[str, Any], why: str, param: str):
    response = reader.post(**options)
    assert response.status_code == 400
    assert why in response.json()["message"]
    assert response.json()["param"] == param


def test_a_request_overrides_what_its_secret_carries_key_by_key():
    under = parse_patch(
        {"instructions": "From the secret.", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}},
        "session",
    )
    over = parse_patch({"audio": {"input": {"format": "g711_ulaw"}, "output": {"voice": "marin"}}}, "session")
    both = overlaid(under, over)
    assert both.instructions == "From the secret."
    assert both.audio == over.audio
    assert overlaid(under, parse_patch({"instructions": None}, "session")).instructions is None
    assert overlaid(under, parse_patch({}, "session")) == under
