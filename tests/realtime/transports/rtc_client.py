"""A browser's side of a call, played by aiortc: an offer without candidates, a microphone, a camera, and strict ears.

Sound is taken from its packets as they arrive, without aiortc's own jitter buffer, so that its time is known.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import av
import httpx
import numpy as np
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription, VideoStreamTrack

from realtime.transports.webrtc.opus import OpusDecoder
from realtime.transports.webrtc.order import OpusPacket
from realtime.transports.webrtc.receivers import tap_sound
from realtime.transports.webrtc.speaker import SpeakerTrack
from realtime.transports.webrtc.untie import untie
from streams.clock import SystemClock
from streams.types import SAMPLE_RATE_HZ, Pixels, Samples
from tests.realtime.strict import Event, StrictClient
from tests.realtime.transports.sounds import energy_at, rms

PATIENCE_S = 20.0  # a busy machine; nothing here waits for time to pass
CALLS = "/v1/realtime/calls"
RECENT = SAMPLE_RATE_HZ // 10  # 100 ms


class Voice:
    """What the client's microphone hears: `say` queues sound, silence follows."""

    def __init__(self) -> None:
        self._waiting = np.zeros(0, np.float32)

    def say(self, pcm: Samples) -> None:
        self._waiting = np.concatenate((self._waiting, pcm))

    def hush(self) -> None:
        self._waiting = np.zeros(0, np.float32)

    def take(self, num_samples: int) -> Samples:
        taken, self._waiting = self._waiting[:num_samples], self._waiting[num_samples:]
        return np.pad(taken, (0, num_samples - len(taken)))


class StillPicture(VideoStreamTrack):
    """A camera that looks at one picture."""

    def __init__(self, rgb: Pixels) -> None:
        super().__init__()
        self._rgb = rgb

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame.from_ndarray(self._rgb, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class RtcClient:
    def __init__(self, address: str, headers: dict[str, str] | None = None, strict: StrictClient | None = None) -> None:
        self._http = httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=PATIENCE_S, verify=False)
        self.peer = RTCPeerConnection()
        self.strict = strict or StrictClient(extended=True)
        self.voice = Voice()
        self.call_id = ""
        self.is_closed = asyncio.Event()
        self.heard = np.zeros(0, np.float32)
        self.heard_at_us: list[int] = []  # when each packet of it came
        self._decoder = OpusDecoder()
        self._changed = asyncio.Event()
        self._num_read = len(self.strict.events)
        self._failure: BaseException | None = None
        self.channel = self.peer.createDataChannel("oai-events")
        self.channel.on("message", self._receive)
        self.channel.on("close", self.is_closed.set)

    # --- connecting -------------------------------------------------------------------------------------------------

    async def offer(self, camera: Pixels | None = None, codec: str = "video/VP8", microphone: bool = True) -> str:
        """SDP without candidates, as it is before they are gathered."""
        if microphone:
            self.peer.addTrack(SpeakerTrack(self.voice.take, SystemClock()))
        else:
            self.peer.addTransceiver("audio", "recvonly")
        if camera is not None:
            self.peer.addTrack(StillPicture(camera))
            capabilities = RTCRtpSender.getCapabilities("video").codecs
            chosen = [capability for capability in capabilities if capability.mimeType == codec]
            next(t for t in self.peer.getTransceivers() if t.kind == "video").setCodecPreferences(chosen)
        offer = await self.peer.createOffer()
        assert "a=candidate" not in offer.sdp
        await self.peer.setLocalDescription(offer)
        return offer.sdp

    async def post(self, query: str = "?model=echo", **options: Any) -> httpx.Response:
        return await self._http.post(CALLS + query, **options)

    async def call(self, query: str = "?model=echo", **media: Any) -> "RtcClient":
        """Call, and wait for the greeting."""
        sdp = await self.offer(**media)
        response = await self.post(query, content=sdp, headers={"Content-Type": "application/sdp"})
        await self.accept(response)
        await self.receive_until("session.created")
        return self

    async def accept(self, response: httpx.Response) -> None:
        assert response.status_code == 201, response.text
        assert response.headers["content-type"] == "application/sdp"
        path, _, self.call_id = response.headers["location"].rpartition("/")
        assert path == CALLS
        assert "a=candidate" in response.text
        sound = next(t for t in self.peer.getTransceivers() if t.kind == "audio")
        tap_sound(sound.receiver, self._hear)
        await self.peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))

    async def hang_up(self, call_id: str | None = None) -> httpx.Response:
        return await self._http.post(f"{CALLS}/{call_id or self.call_id}/hangup")

    def cut(self) -> None:
        """From now on nothing comes through, either way."""
        for protocol in self._protocols():
            protocol.datagram_received = lambda data, address: None
            protocol.transport = _DeafTransport(protocol.transport)

    def mend(self) -> None:
        """Everything comes through again, but for what was lost."""
        for protocol in self._protocols():
            del protocol.datagram_received
            protocol.transport = protocol.transport.transport

    def _protocols(self) -> list[Any]:
        sound = next(t for t in self.peer.getTransceivers() if t.kind == "audio")
        return list(sound.receiver.transport.transport._connection._protocols)

    async def close(self) -> None:
        await self.peer.close()
        untie(self.peer, self.channel)
        del self.peer, self.channel  # which hold us, too
        await self._http.aclose()

    # --- events -----------------------------------------------------------------------------------------------------

    async def send(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    def _receive(self, message: str) -> None:
        try:
            assert len(message.encode()) < 64 * 1024
            event = self.strict.receive(message)
            assert event["type"] != "response.output_audio.delta"
        except BaseException as failure:  # noqa: BLE001 - raised again where the test waits
            self._failure = failure
        self._changed.set()

    async def receive(self) -> Event:
        await self._wait(lambda: self._num_read < len(self.strict.events))
        self._num_read += 1
        return self.strict.events[self._num_read - 1]

    async def receive_until(self, kind: str) -> Event:
        """The next event of this type."""
        while True:
            event = await self.receive()
            if event["type"] == kind:
                return event

    async def _wait(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_true():
                if self._failure is not None:
                    raise self._failure
                self._changed.clear()
                await self._changed.wait()

    # --- sound ------------------------------------------------------------------------------------------------------

    def _hear(self, packet: OpusPacket) -> None:
        self.heard_at_us.append(time.monotonic_ns() // 1_000)
        self.heard = np.concatenate((self.heard, self._decoder.push(packet.payload)))
        self._changed.set()

    async def wait_for_sound(self, frequency_hz: float) -> None:
        """Until the latest 100 ms are this tone."""
        await self._wait(
            lambda: rms(self.heard[-RECENT:]) > 0.05 and energy_at(self.heard[-RECENT:], frequency_hz) > 0.8
        )

    async def wait_for_silence(self) -> None:
        await self._wait(lambda: len(self.heard) >= RECENT and rms(self.heard[-RECENT:]) < 0.005)


class _DeafTransport:
    """Loses what it is given."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def sendto(self, data: bytes, address: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


@contextlib.asynccontextmanager
async def rtc_client(address: str, **options: Any) -> AsyncIterator[RtcClient]:
    client = RtcClient(address, **options)
    try:
        yield client
    finally:
        await client.close()
