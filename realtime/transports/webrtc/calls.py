"""Calls: every WebRTC call of the server, from its offer to its end.

Enters: requests of callers who were let in. Leaves: answers or refusals. Whoever knows a call's id and has the key that
opened it may resume it, follow it or hang it up; to everybody else it does not exist.
"""

import asyncio
import logging
from dataclasses import dataclass

from realtime.auth import Caller
from realtime.host import SessionHost
from realtime.limits import ConnectionGate
from realtime.refusal import Refusal, RefusalCode
from realtime.session.session import CloseKind
from realtime.transports.webrtc.call import Call, CallSetting
from realtime.transports.webrtc.ice import NoPortFree
from realtime.transports.webrtc.offer import Offer
from realtime.transports.webrtc.request import CallRequest, overlaid

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Answered:
    call_id: str
    sdp: str


class Calls:
    def __init__(self, host: SessionHost, gate: ConnectionGate, setting: CallSetting) -> None:
        self._host = host
        self._gate = gate
        self._setting = setting
        self._calls: dict[str, Call] = {}
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._calls)

    async def open(self, request: CallRequest, caller: Caller, address: str) -> Answered | Refusal:
        """A new call on a session of its own."""
        refusal = self._gate.enter(address, caller.key_name)
        if refusal is not None:
            return refusal
        outgoing = asyncio.Event()
        session = await self._host.open(overlaid(caller.patch, request.patch), outgoing.set)
        if isinstance(session, Refusal):
            self._gate.leave(address, caller.key_name)
            return session
        call = Call(self._setting.ids.rtc_call(), caller.key_name, session, outgoing, self._setting)
        self._calls[call.id] = call
        answered = await self._answer(call, request.offer)
        if isinstance(answered, Refusal):
            self._release(call, address)
            return answered
        running = asyncio.create_task(self._run(call, address), name=f"call {call.id}")
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return answered

    async def resume(self, call_id: str, request: CallRequest, caller: Caller) -> Answered | Refusal:
        """A new connection for a call that lost its own, or is about to. Its session keeps its configuration."""
        call = self.find(call_id, caller)
        return call if isinstance(call, Refusal) else await self._answer(call, request.offer)

    def hang_up(self, call_id: str, caller: Caller) -> Refusal | None:
        call = self.find(call_id, caller)
        if isinstance(call, Refusal):
            return call
        call.session.close(CloseKind.CLIENT_LEFT, "the call was hung up")
        return None

    def find(self, call_id: str, caller: Caller) -> Call | Refusal:
        call = self._calls.get(call_id)
        if call is None or call.key_name != caller.key_name or call.session.closing is not None:
            return Refusal(RefusalCode.NOT_FOUND, f"There is no call {call_id!r:.80}.", param="call_id")
        return call

    async def stop(self) -> None:
        """Return when every call has ended. Their sessions have been closed before."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _answer(self, call: Call, offer: Offer) -> Answered | Refusal:
        try:
            return Answered(call.id, await call.connect(offer))
        except NoPortFree as full:
            return Refusal(RefusalCode.NO_CAPACITY, f"{str(full).capitalize()}.", retry_after_s=RETRY_AFTER_S)
        except ValueError as error:
            return Refusal(RefusalCode.INVALID_REQUEST, str(error), param="sdp")

    async def _run(self, call: Call, address: str) -> None:
        began_us = self._setting.clock.now_us()
        self._setting.metrics.calls.open_call()
        logger.info("call %s began: session %s, %s from %s", call.id, call.session.name, call.key_name, address)
        try:
            await call.run()
        finally:
            self._release(call, address)
            self._setting.metrics.calls.end_call()
            assert call.session.closing is not None, "the host saw to it"
            logger.info(
                "call %s ended after %.1f s: %s (%s)",
                call.id,
                (self._setting.clock.now_us() - began_us) / 1e6,
                call.session.closing.kind,
                call.session.closing.message,
            )

    def _release(self, call: Call, address: str) -> None:
        del self._calls[call.id]
        self._host.close(call.session)
        self._gate.leave(address, call.key_name)
