"""What can be wrong on the wire. A `ProtocolError` answers one client event and never ends a session."""

from typing import Literal, TypeAlias

ErrorType: TypeAlias = Literal["invalid_request_error", "server_error", "rate_limit_error"]


class ProtocolError(Exception):
    """A client asked for something that cannot be done. Becomes an `error` event that names the client's event."""

    def __init__(
        self,
        message: str,
        code: str,
        param: str | None = None,
        event_id: str | None = None,
        type: ErrorType = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.event_id = event_id
        self.type: ErrorType = type
