"""The HTTP of calls: `POST /v1/realtime/calls` and the end of a call. Requests in, SDP or JSON errors out."""

from typing import Final, Protocol

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from realtime.auth import Caller
from realtime.protocol.errors import ProtocolError
from realtime.refusal import Refusal, RefusalCode
from realtime.transports.webrtc.calls import Calls
from realtime.transports.webrtc.request import read_call_request

PATH: Final = "/v1/realtime/calls"
SDP: Final = "application/sdp"


class Door(Protocol):
    """Who lets callers in: the server's."""

    def admit(self, request: HTTPConnection) -> Caller | Refusal: ...

    def refuse(self, request: HTTPConnection, refusal: Refusal) -> Response: ...


class CallRoutes:
    def __init__(self, door: Door, calls: Calls) -> None:
        self._door = door
        self._calls = calls

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.create, methods=["POST"]),
            Route("/v1/realtime", self.create, methods=["POST"]),  # where beta clients send their offer
            Route(PATH + "/{call_id}/hangup", self.hang_up, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Answer an offer, with a new call or, by `?resume=CALL_ID`, over a new connection of one that goes on."""
        caller = self._door.admit(request)
        if isinstance(caller, Refusal):
            return self._door.refuse(request, caller)
        try:
            asked = await read_call_request(request)
        except ProtocolError as error:
            return self._door.refuse(request, Refusal(RefusalCode.INVALID_REQUEST, error.message, param=error.param))
        call_id = request.query_params.get("resume")
        if call_id is not None:
            answered = await self._calls.resume(call_id, asked, caller)
        else:
            answered = await self._calls.open(asked, caller, request.client.host if request.client else "unknown")
        if isinstance(answered, Refusal):
            return self._door.refuse(request, answered)
        location = {"Location": f"{PATH}/{answered.call_id}"}
        return Response(answered.sdp, status_code=201, headers=location, media_type=SDP)

    async def hang_up(self, request: Request) -> Response:
        caller = self._door.admit(request)
        if isinstance(caller, Refusal):
            return self._door.refuse(request, caller)
        refusal = self._calls.hang_up(request.path_params["call_id"], caller)
        return Response() if refusal is None else self._door.refuse(request, refusal)
