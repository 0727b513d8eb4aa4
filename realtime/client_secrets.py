"""The bodies of `POST /v1/realtime/client_secrets`: bytes in, what was asked; a secret in, bytes out."""

from dataclasses import dataclass
from typing import Final

import msgspec

from realtime.auth import DEFAULT_SECRET_TTL_S, MAX_SECRET_TTL_S, MIN_SECRET_TTL_S, ClientSecret
from realtime.engine import EngineInfo
from realtime.protocol.errors import ProtocolError
from realtime.protocol.objects import TranscriptionSession, session_object
from realtime.protocol.session_config import SessionConfig, fresh_config
from realtime.protocol.session_merge import merged
from realtime.protocol.session_patch import SessionPatch, parse_patch, require_object

MAX_BODY_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class SecretRequest:
    patch: SessionPatch
    ttl_s: int


class _Issued(msgspec.Struct):
    value: str
    expires_at: int
    session: SessionConfig | TranscriptionSession


def parse_secret_request(body: bytes) -> SecretRequest:
    """What a client asks for. Raises `ProtocolError`. An empty body asks for the defaults."""
    try:
        fields = require_object(msgspec.json.decode(body) if body else {}, "body")
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolError(f"the body is not valid JSON: {error}", code="invalid_json") from None
    expiry = require_object(fields.get("expires_after") or {}, "expires_after")
    ttl_s = expiry.get("seconds", DEFAULT_SECRET_TTL_S)
    if not isinstance(ttl_s, int) or not MIN_SECRET_TTL_S <= ttl_s <= MAX_SECRET_TTL_S:
        raise ProtocolError(
            f"expires_after.seconds must be a whole number from {MIN_SECRET_TTL_S} to {MAX_SECRET_TTL_S}, "
            f"got {ttl_s!r:.40}",
            code="invalid_value",
            param="expires_after.seconds",
        )
    return SecretRequest(parse_patch(fields.get("session") or {}, "session"), ttl_s)


def encode_issued(secret: ClientSecret, patch: SessionPatch, session_id: str, info: EngineInfo) -> bytes:
    """The answer, with the session as it will be for whoever connects with the secret."""
    config = merged(fresh_config(session_id, info, secret.expires_at_s), patch, info)
    return msgspec.json.encode(_Issued(secret.value, secret.expires_at_s, session_object(config)))
