"""Peer: one WebRTC connection. An offer in, an answer out; then messages, sound and pictures both ways.

Owns the aiortc connection and everything attached to it, and tells its owner what arrives. Decides nothing: which
session this is, how long to wait for a silent client and what to do when it is gone is the owner's business.
"""

import asyncio
import logging
from typing import Final, Protocol

import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from realtime.rtc_config import RtcConfig
from realtime.transports.webrtc.camera import Camera
from realtime.transports.webrtc.delivery import num_undelivered
from realtime.transports.webrtc.ice import IceNetwork
from realtime.transports.webrtc.offer import Offer
from realtime.transports.webrtc.order import OpusPacket
from realtime.transports.webrtc.receivers import gate_video, tap_sound
from realtime.transports.webrtc.speaker import SpeakerTrack
from realtime.transports.webrtc.untie import ice_transports, untie
from streams.clock import Clock
from streams.types import Pixels, Samples

logger = logging.getLogger(__name__)

CHANNEL: Final = "oai-events"
CLOSE_TIMEOUT_S: Final = 10.0
# What aiortc raises for descriptions that are not what they should be; it parses them with few checks of its own.
_BAD_OFFER: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,  # what a StopIteration of its parser becomes on the way out of a coroutine
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)


class PeerOwner(Protocol):
    """Whom a peer tells what happens. None of these may raise or wait."""

    def peer_opened(self, peer: "Peer") -> None:
        """Events can be sent: the data channel is open, or there is none and media flow."""
        ...

    def peer_gone(self, peer: "Peer") -> None: ...

    def peer_alive(self, peer: "Peer") -> None:
        """Something authentic arrived."""
        ...

    def receive(self, peer: "Peer", message: str | bytes) -> None: ...

    def hear(self, peer: "Peer", packet: OpusPacket) -> None: ...

    def see(self, peer: "Peer", rgb: Pixels) -> None: ...

    def take_speech(self, peer: "Peer", num_samples: int) -> Samples: ...


class _Nobody:
    """The owner of a connection that is closed."""

    def peer_opened(self, peer: "Peer") -> None:
        pass

    def peer_gone(self, peer: "Peer") -> None:
        pass

    def peer_alive(self, peer: "Peer") -> None:
        pass

    def receive(self, peer: "Peer", message: str | bytes) -> None:
        pass

    def hear(self, peer: "Peer", packet: OpusPacket) -> None:
        pass

    def see(self, peer: "Peer", rgb: Pixels) -> None:
        pass

    def take_speech(self, peer: "Peer", num_samples: int) -> Samples:
        return np.zeros(num_samples, np.float32)


class Peer:
    """`sees`: whether a camera is wanted."""

    def __init__(self, owner: PeerOwner, network: IceNetwork, config: RtcConfig, sees: bool, clock: Clock) -> None:
        self._owner: PeerOwner = owner
        self._network = network
        self._sees = sees
        self._clock = clock
        servers = RTCConfiguration(iceServers=_ice_servers(config))
        self._connection: RTCPeerConnection | None = RTCPeerConnection(servers)  # None once it is closed
        self._channel: RTCDataChannel | None = None
        self._filming: asyncio.Task[None] | None = None
        self._has_channel = True
        self._is_open = False
        self._is_gone = False
        self.has_microphone = False

    @property
    def is_open(self) -> bool:
        if self._channel is not None and self._channel.readyState != "open":
            return False
        return self._is_open and not self._is_gone

    # --- connecting -------------------------------------------------------------------------------------------------

    async def answer(self, offer: Offer) -> str:
        """The answer's SDP, with every candidate. Raises ValueError for a bad offer, `NoPortFree` where none is."""
        self._has_channel = offer.has_channel
        connection = self._connection
        assert connection is not None, "a connection that was closed answers nothing"
        connection.on("datachannel", self._accept_channel)
        connection.on("connectionstatechange", lambda: self._follow(connection.connectionState))
        speaker = SpeakerTrack(lambda num_samples: self._owner.take_speech(self, num_samples), self._clock)
        voice = connection.addTransceiver(speaker, "sendrecv")
        voice.setCodecPreferences([_opus()])
        try:
            await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            self._choose_media(connection, voice)
            for transport in ice_transports(connection):
                self._network.prepare(transport.iceGatherer._connection, lambda: self._owner.peer_alive(self))
            await connection.setLocalDescription()
        except _BAD_OFFER as error:
            raise ValueError(f"the offer cannot be answered: {type(error).__name__}: {error}") from error
        self.has_microphone = voice.currentDirection in ("sendrecv", "recvonly")
        return connection.localDescription.sdp

    def _choose_media(self, connection: RTCPeerConnection, voice: RTCRtpTransceiver) -> None:
        """One microphone and one camera; nothing else is received, so nothing else can pile up."""
        tap_sound(voice.receiver, lambda packet: self._owner.hear(self, packet))
        for transceiver in connection.getTransceivers():
            if transceiver is voice:
                continue
            if transceiver.kind == "video" and self._sees and self._filming is None and transceiver.receiver.track:
                gate_video(transceiver.receiver)
                camera = Camera(transceiver.receiver.track, lambda rgb: self._owner.see(self, rgb), self._clock)
                self._filming = asyncio.create_task(camera.run())
                self._filming.add_done_callback(_log_failure)
            else:
                transceiver.direction = "inactive"

    # --- what happens to it -----------------------------------------------------------------------------------------

    def _accept_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", lambda message: self._owner.receive(self, message))
        channel.on("close", self._note_gone)
        self._note_open()

    def _follow(self, state: str) -> None:
        logger.debug("connection is %s", state)
        if state in ("failed", "closed"):
            self._note_gone()
        elif state == "connected" and not self._has_channel:
            self._note_open()

    def _note_open(self) -> None:
        self._is_open = True
        self._owner.peer_opened(self)

    def _note_gone(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            self._owner.peer_gone(self)

    # --- events out -------------------------------------------------------------------------------------------------

    def send(self, message: str) -> None:
        """Queue one event for the client. Goes nowhere where there is no channel."""
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(message)

    @property
    def buffered_bytes(self) -> int:
        """Of events that are queued here."""
        return self._channel.bufferedAmount if self._channel is not None else 0

    @property
    def num_undelivered(self) -> int:
        """Events, the latest ones, that the client has not acknowledged."""
        return num_undelivered(self._channel) if self._channel is not None else 0

    async def close(self) -> None:
        """Let go of everything; reference counting then frees it, aiortc's objects included. The owner is not told."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._is_gone = True
        self._owner = _Nobody()
        if self._filming is not None:
            self._filming.cancel()
            await asyncio.wait({self._filming})
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await connection.close()
        except TimeoutError:
            logger.error("a connection did not close within %g s", CLOSE_TIMEOUT_S)
        except _BAD_OFFER:
            logger.exception("a connection did not close cleanly")
        untie(connection, self._channel)
        for transport in ice_transports(connection):
            self._network.release(transport.iceGatherer._connection)
        self._channel = self._filming = None


def _opus() -> RTCRtpCodecCapability:
    for codec in RTCRtpSender.getCapabilities("audio").codecs:
        if codec.mimeType == "audio/opus":
            return codec
    raise AssertionError("aiortc speaks Opus")


def _log_failure(filming: asyncio.Task[None]) -> None:
    if not filming.cancelled() and filming.exception() is not None:
        logger.error("the camera is lost", exc_info=filming.exception())


def _ice_servers(config: RtcConfig) -> list[RTCIceServer]:
    servers = [RTCIceServer(config.stun_url)] if config.stun_url is not None else []
    if config.turn is not None:
        servers.append(RTCIceServer(config.turn.url, config.turn.username, config.turn.password))
    return servers
