"""The body of `POST /v1/realtime/calls`: an offer, and perhaps a session, in any of the three shapes clients send.

Bare SDP; multipart with typed parts but no file names, as the `openai` packages write it; or multipart as a page's own
FormData has it. Raises `ProtocolError` for anything else.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from realtime.protocol.errors import ProtocolError
from realtime.protocol.session_patch import (
    AudioInputPatch,
    AudioOutputPatch,
    AudioPatch,
    ExtensionsPatch,
    SessionPatch,
    TurnDetectionPatch,
    parse_patch,
)
from realtime.transports.webrtc.offer import Offer, read_offer

MAX_BODY_BYTES: Final = 640 * 1024  # an offer, and a session as large as a session may be
MAX_PARTS: Final = 8
_SDP: Final = "application/sdp"
_MULTIPART: Final = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class CallRequest:
    offer: Offer
    patch: SessionPatch


async def read_call_request(request: Request) -> CallRequest:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _MULTIPART:
        sdp, session = await _read_form(request.headers, await _read_body(request))
    elif kind in (_SDP, "text/plain", ""):
        sdp, session = _text(await _read_body(request)), None
    else:
        raise ProtocolError(
            f"a call is asked for with {_SDP} or {_MULTIPART}, not {kind!r:.80}", code="invalid_request", param="body"
        )
    try:
        offer = read_offer(sdp)
    except ValueError as error:
        raise ProtocolError(str(error), code="invalid_offer", param="sdp") from None
    return CallRequest(offer, _read_session(session) if session else SessionPatch())


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ProtocolError(f"the body is longer than {MAX_BODY_BYTES} bytes", "invalid_request", "body")
    return bytes(body)


async def _read_form(headers: Headers, body: bytes) -> tuple[str, str | None]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    parser = MultiPartParser(headers, stream(), max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=MAX_BODY_BYTES)
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError, UnicodeDecodeError) as error:
        raise ProtocolError(f"the form cannot be read: {error}", "invalid_request", "body") from None
    try:
        parts = {name: await _part(value) for name, value in form.items() if name in ("sdp", "session")}
    finally:
        await form.close()
    if "sdp" not in parts:
        raise ProtocolError("the form has no part named sdp", code="missing_required_parameter", param="sdp")
    return parts["sdp"], parts.get("session")


async def _part(value: UploadFile | str) -> str:
    """The text of a part; with a file name it comes as a file."""
    if isinstance(value, str):
        return value
    return _text(await value.read())


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError(f"the body is not UTF-8: {error}", code="invalid_request", param="body") from None


def _read_session(text: str) -> SessionPatch:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolError(f"session is not valid JSON: {error}", code="invalid_json", param="session") from None
    return parse_patch(value, "session")


_PATCHES: Final = (SessionPatch, AudioPatch, AudioInputPatch, AudioOutputPatch, TurnDetectionPatch, ExtensionsPatch)


def overlaid(under: SessionPatch, over: SessionPatch) -> SessionPatch:
    """Both patches as one: what `over` does not mention is as in `under`."""
    both = _overlaid(under, over)
    assert isinstance(both, SessionPatch)
    return both


def _overlaid(under: object, over: object) -> object:
    if over is UNSET:
        return under
    if not isinstance(over, _PATCHES) or type(under) is not type(over):
        return over
    fields = {name: _overlaid(getattr(under, name), getattr(over, name)) for name in over.__struct_fields__}
    return msgspec.structs.replace(over, **fields)
