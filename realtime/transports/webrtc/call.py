"""Call: one session and the WebRTC connections that carry it, one after the other.

Events go over the data channel and to whoever follows the call by WebSocket; sound and pictures over RTP. A client that
hangs up ends its session; one that falls silent is waited for, and may come back over a new connection: what it missed
is sent again. The session's ticks go on meanwhile. Nothing here grows without bound.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import numpy as np

from realtime.limits import ConnectionPace, Limits
from realtime.metrics import Metrics
from realtime.protocol.errors import ProtocolError
from realtime.protocol.ids import Ids
from realtime.protocol.objects import session_object
from realtime.protocol.server_events import Error, SessionCreated
from realtime.protocol.wire import encode_server_event
from realtime.session.outbox import Outgoing
from realtime.session.session import CloseKind, Session
from realtime.transports.webrtc.delivery import SentEvents
from realtime.transports.webrtc.frames import fits, fitted, is_for_channel
from realtime.transports.webrtc.gauge import CallGauge
from realtime.transports.webrtc.lifeline import Lifeline
from realtime.transports.webrtc.microphone import Microphone
from realtime.transports.webrtc.offer import Offer
from realtime.transports.webrtc.order import OpusPacket
from realtime.transports.webrtc.peer import Peer, PeerOwner
from realtime.transports.webrtc.playback import Playback
from streams.clock import Clock
from streams.types import AudioChunk, Pixels, Samples

logger = logging.getLogger(__name__)

WATCH_US: Final = 250_000
TICKS_PER_MEASURE: Final = 4  # of the watch: metrics once a second
MAX_BUFFERED_BYTES: Final = 4 * 1024 * 1024  # of events that the client does not read
FAREWELL_US: Final = 500_000  # for the last events to reach the client
POLL_US: Final = 10_000

Follower: TypeAlias = Callable[[str | None], None]
"""Is given the text of every event, as a WebSocket has it, and None at the end. Must not raise or wait."""


@dataclass(frozen=True, slots=True)
class CallSetting:
    """What the calls of one server share. `make_peer` makes connections, `grace_s` is how long silence is borne."""

    make_peer: Callable[[PeerOwner], Peer]
    grace_s: float
    limits: Limits
    clock: Clock
    metrics: Metrics
    ids: Ids


class Call:
    """`outgoing` is set by the session's `notify`. `connect` answers offers, before and while `run` runs."""

    def __init__(self, call_id: str, key_name: str, session: Session, outgoing: asyncio.Event, setting: CallSetting):
        self.id = call_id
        self.key_name = key_name
        self.session = session
        self._outgoing = outgoing
        self._setting = setting
        self._clock = setting.clock
        self._peer: Peer | None = None  # the one that carries the session
        self._next_peer: Peer | None = None  # one that is about to take over
        self._retiring: set[asyncio.Task[None]] = set()
        self._is_over = False
        self._is_deaf = False
        self._lifeline = Lifeline(self._clock.now_us(), round(setting.grace_s * 1e6))
        self._playback = Playback(session)
        self._microphone = Microphone(lambda: session.unheard_samples)
        self._gauge = CallGauge(setting.metrics.calls)
        self._inbox: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._inbox_bytes = 0
        self._sent = SentEvents()
        self._followers: list[Follower] = []

    # --- connections ------------------------------------------------------------------------------------------------

    async def connect(self, offer: Offer) -> str:
        """Answer an offer: of the call's first connection, or of one that takes over once it is open.

        Raises ValueError for a bad offer and `NoPortFree` where there is no port for it.
        """
        peer = self._setting.make_peer(self)
        try:
            answer = await peer.answer(offer)
        except BaseException:
            await peer.close()
            raise
        if self._is_over:
            await peer.close()
            raise ValueError("the call ended meanwhile")
        if self._peer is None:
            self._peer = peer
        else:
            self._retire(self._next_peer)
            self._next_peer = peer
        return answer

    def _retire(self, peer: Peer | None) -> None:
        if peer is not None:
            task = asyncio.create_task(peer.close())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def peer_opened(self, peer: Peer) -> None:
        if peer is self._next_peer:
            self._take_over(peer)
        if peer is self._peer:
            self._lifeline.connect(self._clock.now_us())
            self._outgoing.set()

    def _take_over(self, peer: Peer) -> None:
        """Go on over another connection: who this is, what the client missed, then what is new."""
        old, self._peer, self._next_peer = self._peer, peer, None
        assert old is not None, "the first connection takes nothing over"
        self._sent.trim(old.num_undelivered)
        self._retire(old)
        self._microphone = Microphone(lambda: self.session.unheard_samples, self._microphone.next_pts_us)
        self._gauge.restart_microphone()
        self._setting.metrics.calls.resume_call()
        logger.info("call %s goes on over a new connection", self.id)
        missed = self._sent.pop_all()
        greeting = SessionCreated(event_id=self._setting.ids.event(), session=session_object(self.session.config))
        for message in [encode_server_event(greeting), *missed]:
            self._send_message(message)

    def peer_gone(self, peer: Peer) -> None:
        if peer is self._next_peer:
            self._next_peer = None
            self._retire(peer)
        elif peer is self._peer and self._next_peer is None:
            if self._lifeline.was_silent_lately(self._clock.now_us()):
                logger.info("call %s lost its connection", self.id)
            else:
                self.session.close(CloseKind.CLIENT_LEFT, "the client hung up")

    def peer_alive(self, peer: Peer) -> None:
        self._lifeline.sign(self._clock.now_us())

    # --- what a connection brings -----------------------------------------------------------------------------------

    def receive(self, peer: Peer, message: str | bytes) -> None:
        """An event of the client, to be read in turn."""
        self._lifeline.sign(self._clock.now_us())
        self.push_event(message)

    def push_event(self, message: str | bytes) -> None:
        self._inbox_bytes += len(message)
        limits = self._setting.limits
        if self._inbox_bytes > limits.byte_burst or self._inbox.qsize() >= limits.event_burst:
            self.session.close(CloseKind.SLOW_CLIENT, "the client sends more than it may")
            return
        self._inbox.put_nowait(message)

    def hear(self, peer: Peer, packet: OpusPacket) -> None:
        if peer is not self._peer or self.session.closing is not None:
            return
        now_us = self._clock.now_us()
        self._lifeline.sign(now_us, is_sound=True)
        with self._guard("its microphone"):
            for chunk in self._microphone.push(packet, now_us):
                self._hear(chunk)

    def _hear(self, chunk: AudioChunk) -> None:
        try:
            self.session.hear(chunk)
        except ProtocolError as error:  # two minutes behind: the engine does not keep up
            if not self._is_deaf:
                logger.warning("call %s: %s", self.id, error)
            self._is_deaf = True
        else:
            self._is_deaf = False

    def see(self, peer: Peer, rgb: Pixels) -> None:
        if peer is self._peer and self.session.closing is None:
            with self._guard("its camera"):
                self.session.see(rgb)

    def take_speech(self, peer: Peer, num_samples: int) -> Samples:
        if peer is self._peer and self.session.closing is None:
            with self._guard("its speech"):
                return self._playback.take(num_samples)
        return np.zeros(num_samples, np.float32)

    @contextmanager
    def _guard(self, part: str) -> Iterator[None]:
        """A mistake of ours costs this session, and neither its connection's tasks nor any other session."""
        try:
            yield
        except Exception:
            logger.exception("call %s failed in %s", self.id, part)
            self.session.close(CloseKind.ENGINE_FAILED, "an internal error")

    # --- its life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry the session until it is over, then close every connection."""
        try:
            async with asyncio.TaskGroup() as tasks:
                working = [tasks.create_task(self._receive()), tasks.create_task(self._watch())]
                await self._send()
                for task in working:
                    task.cancel()
        except* Exception as failures:  # a mistake of ours, which costs this session and no other
            logger.exception("call %s failed", self.id, exc_info=failures)
            self.session.close(CloseKind.ENGINE_FAILED, "an internal error")
        finally:
            self._is_over = True
            for follow in self._followers:
                follow(None)
            await self._say_farewell()
            self._retire(self._peer)
            self._retire(self._next_peer)
            while self._retiring:
                await asyncio.wait(set(self._retiring))

    async def _watch(self) -> None:
        """Notice what nobody tells: silence, and that time is up."""
        expires_us = self._clock.now_us() + round(self._setting.limits.max_session_s * 1e6)
        num_watches = 0
        while self.session.closing is None:
            await self._clock.sleep_until_us(self._clock.now_us() + WATCH_US)
            now_us = self._clock.now_us()
            reason = self._lifeline.verdict(now_us)
            if reason is not None:
                self.session.close(CloseKind.CLIENT_LEFT, reason)
            elif now_us >= expires_us:
                self.session.close(CloseKind.EXPIRED, "the session has expired")
            self._keep_microphone_open()
            num_watches += 1
            if num_watches % TICKS_PER_MEASURE == 0:
                self._measure()

    def _keep_microphone_open(self) -> None:
        """A microphone that was on when everything fell silent is still on: its silence is the network's.

        One that fell silent alone was switched off, and the session need not tick for it.
        """
        if self._lifeline.is_microphone_on:
            self._hear(AudioChunk(self._microphone.next_pts_us, np.zeros(0, np.float32)))

    def _measure(self) -> None:
        self._gauge.read(self._microphone, self.session.unheard_samples, self._playback.speech)

    async def _say_farewell(self) -> None:
        """Let the last events arrive, such as why the session ended."""
        self._measure()
        closing = self.session.closing
        if self._peer is None or closing is None or closing.kind is CloseKind.CLIENT_LEFT:
            return
        deadline_us = self._clock.now_us() + FAREWELL_US
        while self._peer.is_open and self._peer.num_undelivered and self._clock.now_us() < deadline_us:
            await self._clock.sleep_until_us(self._clock.now_us() + POLL_US)

    # --- events in --------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        """Give the session its client's events, no faster than it may send them."""
        pace = ConnectionPace(self._setting.limits, self._clock.now_us())
        while self.session.closing is None:
            message = await self._inbox.get()
            self._inbox_bytes -= len(message)
            self._setting.metrics.receive_event(len(message))
            if _kind_of(message) == "output_audio_buffer.clear":
                self._playback.clear()
            self.session.receive_frame(message)
            wait_us = pace.receive(len(message), self._clock.now_us())
            if wait_us:
                await self._clock.sleep_until_us(self._clock.now_us() + wait_us)

    # --- events out -------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        """Say what the session has to say, while somebody listens, until it is over and everything is said."""
        while True:
            self._outgoing.clear()
            while self._is_heard and (outgoing := self.session.outbox.pop()) is not None:
                await self._deliver(outgoing)
            if self.session.closing is not None:
                return
            await self._outgoing.wait()

    @property
    def _is_heard(self) -> bool:
        return self._peer is not None and self._peer.is_open

    async def _deliver(self, outgoing: Outgoing) -> None:
        self._playback.follow(outgoing.event)
        if not is_for_channel(outgoing):
            return
        for follow in list(self._followers):
            follow(outgoing.frame)
        message = outgoing.frame if fits(outgoing.frame) else await asyncio.to_thread(fitted, outgoing)
        self._send_message(message)
        self._setting.metrics.send_event(len(message), isinstance(outgoing.event, Error))

    def _send_message(self, message: str) -> None:
        assert self._peer is not None, "nothing is sent before there is a connection"
        self._peer.send(message)
        self._sent.push(message, self._peer.num_undelivered)
        if self._peer.buffered_bytes > MAX_BUFFERED_BYTES:
            self.session.close(CloseKind.SLOW_CLIENT, "the client does not read what it is sent")

    # --- followers --------------------------------------------------------------------------------------------------

    def follow(self, follower: Follower) -> None:
        """Give `follower` every event from now on, after a greeting of its own."""
        greeting = SessionCreated(event_id=self._setting.ids.event(), session=session_object(self.session.config))
        follower(encode_server_event(greeting))
        self._followers.append(follower)

    def unfollow(self, follower: Follower) -> None:
        self._followers.remove(follower)


class _Kind(msgspec.Struct):
    type: str = ""


def _kind_of(message: str | bytes) -> str:
    """The type of a client's event; what is wrong with it otherwise is for the session to say."""
    try:
        return msgspec.json.decode(message, type=_Kind).type
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
