"""What can go wrong between a client and its server, in words a user can act on."""

from websockets.exceptions import ConnectionClosed


class ClientError(Exception):
    """Everything this package raises about the connection and the server. Its text is meant to be shown."""


class CannotConnect(ClientError):
    """No session: nobody listens there, the key is refused, the server is full, or it speaks another protocol."""


class ConnectionLost(ClientError):
    """The session ended without a normal close. Nothing reconnects by itself: the conversation lived in it."""


class SessionClosed(ClientError):
    """Something was sent after the session had ended normally."""


class ServerError(ClientError):
    """The server's `error` event, about something this client sent. The session lives on."""

    def __init__(self, message: str, code: str | None, param: str | None = None) -> None:
        super().__init__(message if code is None else f"{message} ({code})")
        self.message = message
        self.code = code
        self.param = param


class DeviceError(ClientError):
    """A microphone, speaker or camera that is missing or refuses to work."""


def describe_close(closed: ConnectionClosed) -> str:
    if closed.rcvd is not None:
        reason = closed.rcvd.reason or "no reason given"
        return f"the server closed the session: {reason} (code {closed.rcvd.code})"
    if closed.sent is not None and closed.sent.reason:
        return f"the connection was given up: {closed.sent.reason} (code {closed.sent.code})"
    return "the connection to the server broke"
