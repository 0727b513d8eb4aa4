"""Why the server will not serve a request, as one value that HTTP and the log both understand."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import msgspec

from realtime.protocol.errors import ErrorType


class RefusalCode(StrEnum):
    """Machine-readable reasons. Existing clients know `invalid_api_key` and `rate_limit_exceeded` by name."""

    INVALID_API_KEY = "invalid_api_key"
    INVALID_REQUEST = "invalid_request"
    TOO_MANY_CONNECTS = "rate_limit_exceeded"
    SERVER_ERROR = "server_error"
    TOO_MANY_SESSIONS = "too_many_sessions"
    NO_CAPACITY = "no_capacity"
    NOT_READY = "not_ready"
    FORBIDDEN_ORIGIN = "forbidden_origin"
    NOT_FOUND = "not_found"


_STATUS = {
    RefusalCode.INVALID_API_KEY: HTTPStatus.UNAUTHORIZED,
    RefusalCode.INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    RefusalCode.TOO_MANY_CONNECTS: HTTPStatus.TOO_MANY_REQUESTS,
    RefusalCode.SERVER_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
    RefusalCode.TOO_MANY_SESSIONS: HTTPStatus.TOO_MANY_REQUESTS,
    RefusalCode.NO_CAPACITY: HTTPStatus.SERVICE_UNAVAILABLE,
    RefusalCode.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    RefusalCode.FORBIDDEN_ORIGIN: HTTPStatus.FORBIDDEN,
    RefusalCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
}


class _ErrorBody(msgspec.Struct):
    message: str
    type: ErrorType
    code: str
    param: str | None = None


class _Body(msgspec.Struct):
    error: _ErrorBody


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused request: what to tell the client, and when trying again makes sense."""

    code: RefusalCode
    message: str
    retry_after_s: int | None = None
    param: str | None = None

    @property
    def status(self) -> HTTPStatus:
        return _STATUS[self.code]

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        if self.status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, section 11.6.1
        return headers

    def encode(self) -> bytes:
        """The JSON error body of the protocol."""
        kind: ErrorType = "invalid_request_error"
        if self.status is HTTPStatus.TOO_MANY_REQUESTS:
            kind = "rate_limit_error"
        elif self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            kind = "server_error"
        return msgspec.json.encode(_Body(_ErrorBody(self.message, kind, str(self.code), self.param)))
