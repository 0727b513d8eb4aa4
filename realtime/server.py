"""The HTTP side: routes, who may enter, and the server that listens.

`build_server(config, engine)` gives a uvicorn server that runs sessions on that engine until told to stop. Requests
enter here; sessions are the host's, their events the transport's. Refusals leave before a WebSocket is accepted, as
HTTP with the protocol's JSON error body.
"""

import asyncio
import logging
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from realtime.auth import SUBPROTOCOL, Authenticator, Caller, is_local_origin, offered_key
from realtime.client_secrets import MAX_BODY_BYTES, encode_issued, parse_secret_request
from realtime.config import ServerConfig
from realtime.engine import Engine
from realtime.host import SessionHost
from realtime.limits import ConnectionGate
from realtime.metrics import CONTENT_TYPE, Metrics
from realtime.model_list import encode_model_list
from realtime.pages import Pages
from realtime.protocol.errors import ProtocolError
from realtime.protocol.ids import Ids
from realtime.protocol.session_patch import SessionPatch
from realtime.refusal import Refusal, RefusalCode
from realtime.transports.closing import ClosingWebSocketProtocol
from realtime.transports.webrtc.call import CallSetting
from realtime.transports.webrtc.calls import Calls
from realtime.transports.webrtc.ice import IceNetwork
from realtime.transports.webrtc.peer import Peer, PeerOwner
from realtime.transports.webrtc.routes import CallRoutes
from realtime.transports.webrtc.sideband import Sideband
from realtime.transports.websocket import WebSocketTransport
from streams.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

PING_S: Final = 20.0  # as the Python clients do; a connection without an answer for as long is dropped
GRACE_S: Final = 10  # for requests that still run when the server stops
_LOCAL_ORIGINS: Final = r"https?://(localhost|[a-z0-9.-]+\.localhost|127(\.\d+){3}|\[::1\])(:\d+)?"
_CLIENT_HEADERS: Final = ["Authorization", "Content-Type", "X-OpenAI-Agents-SDK", "OpenAI-Beta", "api-key"]


class Site:
    """What the routes share. One per server."""

    def __init__(self, config: ServerConfig, engine: Engine, clock: Clock, server_version: str) -> None:
        ids = Ids(random.SystemRandom())
        self.config = config
        self.clock = clock
        self.metrics = Metrics(engine.info)
        self.authenticator = Authenticator(config.keys, ids)
        self.gate = ConnectionGate(config.limits)
        self.ids = ids
        self.host = SessionHost(
            engine,
            clock,
            self.metrics,
            ids=ids,
            max_session_s=config.limits.max_session_s,
            record_dir=config.record_dir,
            server_version=server_version,
        )
        network = IceNetwork(config.rtc)

        def make_peer(owner: PeerOwner) -> Peer:
            return Peer(owner, network, config.rtc, engine.info.sees, clock)

        setting = CallSetting(make_peer, config.rtc.grace_s, config.limits, clock, self.metrics, ids)
        self.calls = Calls(self.host, self.gate, setting)

    # --- who may enter ----------------------------------------------------------------------------------------------

    def admit(self, request: HTTPConnection) -> Caller | Refusal:
        """Who sends `request`, or why they may not. Counts the attempt."""
        refusal = self.gate.knock(_address(request), self.clock.now_us())
        if refusal is not None:
            return refusal
        if self.checks_origins and not is_local_origin(request.headers.get("origin")):
            return Refusal(
                RefusalCode.FORBIDDEN_ORIGIN,
                "This server has no API keys and therefore serves pages of this machine only. "
                "Give it keys, or --insecure-no-auth, to serve pages from elsewhere.",
            )
        return self.identify(request)

    @property
    def checks_origins(self) -> bool:
        return not self.authenticator.needs_key and not self.config.allow_no_auth

    def identify(self, request: HTTPConnection) -> Caller | Refusal:
        key = offered_key(
            request.headers.get("authorization"),
            request.headers.get("api-key"),
            request.scope.get("subprotocols", ()),
        )
        return self.authenticator.identify(key, int(time.time()))

    def refuse(self, request: HTTPConnection, refusal: Refusal) -> Response:
        self.metrics.refuse(refusal.code)
        logger.info("refused %s to %s: %s", request.url.path, _address(request), refusal.code)
        return Response(refusal.encode(), refusal.status, refusal.headers)

    # --- routes -----------------------------------------------------------------------------------------------------

    async def realtime(self, websocket: WebSocket) -> None:
        """A session over WebSocket."""
        caller = self.admit(websocket)
        if isinstance(caller, Refusal):
            await self._deny(websocket, caller)
            return
        address = _address(websocket)
        call_id = websocket.query_params.get("call_id")
        if call_id is not None:
            await self._follow(websocket, caller, call_id)
            return
        refusal = self.gate.enter(address, caller.key_name)
        if refusal is not None:
            await self._deny(websocket, refusal)
            return
        try:
            await self._serve(websocket, caller)
        finally:
            self.gate.leave(address, caller.key_name)

    async def _serve(self, websocket: WebSocket, caller: Caller) -> None:
        outgoing = asyncio.Event()
        session = await self.host.open(_patch(websocket, caller), outgoing.set)
        if isinstance(session, Refusal):
            await self._deny(websocket, session)
            return
        opened_us = self.clock.now_us()
        transport = WebSocketTransport(websocket, session, outgoing, self.config.limits, self.clock, self.metrics)
        try:
            await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
            logger.info("session %s began: %s from %s", session.name, caller.key_name, _address(websocket))
            await transport.run()
        finally:
            self.host.close(session)
            assert session.closing is not None, "the host saw to it"
            logger.info(
                "session %s ended after %.1f s: %s (%s); %s",
                session.name,
                (self.clock.now_us() - opened_us) / 1e6,
                session.closing.kind,
                session.closing.message,
                transport.traffic,
            )

    async def _follow(self, websocket: WebSocket, caller: Caller, call_id: str) -> None:
        """Somebody follows a call that another connection carries."""
        call = self.calls.find(call_id, caller)
        if isinstance(call, Refusal):
            await self._deny(websocket, call)
            return
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
        await Sideband(websocket, call).run()

    async def _deny(self, websocket: WebSocket, refusal: Refusal) -> None:
        await websocket.send_denial_response(self.refuse(websocket, refusal))

    async def client_secrets(self, request: Request) -> Response:
        caller = self.admit(request)
        if isinstance(caller, Refusal):
            return self.refuse(request, caller)
        try:
            asked = parse_secret_request(await _body(request, MAX_BODY_BYTES))
        except ProtocolError as error:
            return self.refuse(request, Refusal(RefusalCode.INVALID_REQUEST, error.message, param=error.param))
        secret = self.authenticator.issue(caller, asked.patch, asked.ttl_s, int(time.time()))
        if isinstance(secret, Refusal):
            return self.refuse(request, secret)
        body = encode_issued(secret, asked.patch, self.ids.session(), self.host.info)
        return Response(body, media_type="application/json")

    async def upgrade_required(self, request: Request) -> Response:
        return Response(
            Refusal(RefusalCode.INVALID_REQUEST, "Connect here with a WebSocket.").encode(),
            status_code=426,
            headers={"Upgrade": "websocket", "Content-Type": "application/json"},
        )

    async def healthz(self, request: Request) -> Response:
        reason = self.host.unready_reason()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

    async def show_metrics(self, request: Request) -> Response:
        caller = self.identify(request)
        if isinstance(caller, Refusal):
            return self.refuse(request, caller)
        return Response(self.metrics.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def models(self, request: Request) -> Response:
        caller = self.identify(request)
        if isinstance(caller, Refusal):
            return self.refuse(request, caller)
        return Response(encode_model_list(self.host.info), media_type="application/json")

    async def status_page(self, request: Request) -> Response:
        info = self.host.info
        return PlainTextResponse(
            f"OmniWeave Realtime serves {info.name} ({info.backend}).\n"
            f"{self.host.num_present} of {info.max_sessions} sessions.\n\n"
            "/v1/realtime  the Realtime API, over WebSocket\n"
            "/v1/models    what the model can do\n"
            "/healthz      whether it works\n"
            "/metrics      counters\n"
        )


# --- assembly -------------------------------------------------------------------------------------------------------


def build_app(site: Site) -> Starlette:
    """The application. Its lifespan starts and stops the host."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        site.host.start()
        yield
        await site.host.stop()
        await site.calls.stop()

    routes: list[Route | WebSocketRoute | Mount] = [
        WebSocketRoute("/v1/realtime", site.realtime),
        WebSocketRoute("/v1/realtime/", site.realtime),
        Route("/v1/realtime", site.upgrade_required),
        Route("/v1/realtime/client_secrets", site.client_secrets, methods=["POST"]),
        Route("/v1/models", site.models),
        Route("/healthz", site.healthz),
        Route("/metrics", site.show_metrics),
        *CallRoutes(site, site.calls).routes(),
    ]
    if site.config.browser_dir is not None:
        routes.append(Mount("/", Pages(directory=site.config.browser_dir, html=True)))
    else:
        routes.append(Route("/", site.status_page))
    cors = Middleware(
        CORSMiddleware,
        allow_origins=() if site.checks_origins else ("*",),
        allow_origin_regex=_LOCAL_ORIGINS if site.checks_origins else None,
        allow_methods=("GET", "POST"),
        allow_headers=_CLIENT_HEADERS,
        expose_headers=("Location",),
    )
    return Starlette(routes=routes, middleware=[cors], lifespan=lifespan)


class Server(uvicorn.Server):
    """uvicorn's server, whose sessions are told that it stops before their connections are taken away."""

    def __init__(self, config: uvicorn.Config, host: SessionHost) -> None:
        super().__init__(config)
        self._host = host

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._host.dismiss()
        await super().shutdown(sockets)


def build_server(
    config: ServerConfig, engine: Engine, *, clock: Clock | None = None, server_version: str = ""
) -> Server:
    site = Site(config, engine, clock or SystemClock(), server_version)
    tls = config.tls
    settings = uvicorn.Config(
        build_app(site),
        interface="asgi3",
        host=config.host,
        port=config.port,
        ws=ClosingWebSocketProtocol,
        ws_max_size=config.limits.max_frame_bytes,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,  # base64 of sound does not shrink, and no client needs it
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=tls.cert if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    return Server(settings, site.host)


# --- requests -------------------------------------------------------------------------------------------------------


def _address(request: HTTPConnection) -> str:
    return request.client.host if request.client is not None else "unknown"


def _patch(websocket: WebSocket, caller: Caller) -> SessionPatch:
    """The configuration that a session starts with, before its client says anything."""
    if websocket.query_params.get("intent") == "transcription":
        return msgspec.structs.replace(caller.patch, type="transcription")
    return caller.patch


async def _body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise ProtocolError(f"the body is longer than {max_bytes} bytes", code="invalid_request")
    return bytes(body)
