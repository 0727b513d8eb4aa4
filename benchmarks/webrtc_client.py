"""The client of `benchmarks.webrtc_latency`: a microphone whose every sample has a time, and ears that note theirs.

Times are those of `time.monotonic`. A sample is said when it would have been recorded, up to 20 ms before its packet
leaves; it is heard when its packet arrives, after Opus both ways, but without the jitter buffer that browsers add.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription

from benchmarks.lossy_network import LossyNetwork, Weather
from realtime.transports.webrtc.opus import FRAME_MS, FRAME_SAMPLES, OpusDecoder
from realtime.transports.webrtc.order import OpusPacket
from realtime.transports.webrtc.receivers import tap_sound
from realtime.transports.webrtc.speaker import SpeakerTrack
from streams.clock import SystemClock
from streams.types import SAMPLE_RATE_HZ, Samples

CALLS = "/v1/realtime/calls"
LOUD = 0.05
TIMEOUT_S = 20.0
FAIR = Weather(loss=0.0, jitter_ms=0.0)  # no network in between


@dataclass(frozen=True, slots=True)
class Packet:
    arrived_s: float
    pcm: Samples

    @property
    def is_loud(self) -> bool:
        return bool(np.abs(self.pcm).max() > LOUD)


class Client:
    """`call` first, then `ping` as often as you like."""

    def __init__(self, url: str, weather: Weather = FAIR) -> None:
        self._network = LossyNetwork(weather)
        self._is_fair = weather.is_fair
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, verify=False)
        self._peer = RTCPeerConnection()
        self._channel = self._peer.createDataChannel("oai-events")
        self._channel.on("message", lambda message: self.events.put_nowait(json.loads(message)["type"]))
        self._waiting: Samples = np.zeros(0, np.float32)
        self._said_at_s = 0.0
        self._decoder = OpusDecoder()
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.packets: asyncio.Queue[Packet] = asyncio.Queue()

    async def call(self) -> None:
        self._peer.addTrack(SpeakerTrack(self._record, SystemClock()))
        offer = await self._peer.createOffer()
        await self._peer.setLocalDescription(offer)
        response = await self._http.post(CALLS, content=offer.sdp, headers={"Content-Type": "application/sdp"})
        if response.status_code != 201:
            raise RuntimeError(f"the server refused: {response.text}")
        self._location = response.headers["location"]
        sound = next(media for media in self._peer.getTransceivers() if media.kind == "audio")
        tap_sound(sound.receiver, self._hear)
        answer = response.text if self._is_fair else await self._network.detour(response.text)
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await self.wait_for("session.created")

    async def wait_for(self, kind: str) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while await self.events.get() != kind:
                pass

    def send(self, kind: str) -> None:
        self._channel.send(json.dumps({"type": kind}))

    async def hang_up(self) -> None:
        (await self._http.post(f"{self._location}/hangup")).raise_for_status()

    async def close(self) -> None:
        await self._peer.close()
        self._network.close()
        await self._http.aclose()

    # --- sound ------------------------------------------------------------------------------------------------------

    def say(self, pcm: Samples) -> None:
        """From the next packet on. `said_at_s` is then the time of the first sample."""
        self._waiting = pcm
        self._said_at_s = 0.0

    @property
    def said_at_s(self) -> float:
        return self._said_at_s

    def _record(self, num_samples: int) -> Samples:
        taken, self._waiting = self._waiting[:num_samples], self._waiting[num_samples:]
        if len(taken) and not self._said_at_s:
            self._said_at_s = time.monotonic() - FRAME_MS / 1000
        return np.pad(taken, (0, num_samples - len(taken)))

    def _hear(self, packet: OpusPacket) -> None:
        self.packets.put_nowait(Packet(time.monotonic(), self._decoder.push(packet.payload)))

    async def onset_s(self) -> float:
        """When the next loud sample was heard."""
        async with asyncio.timeout(TIMEOUT_S):
            while not (packet := await self.packets.get()).is_loud:
                pass
        first = int(np.argmax(np.abs(packet.pcm) > LOUD))
        return packet.arrived_s + first / SAMPLE_RATE_HZ

    async def end_s(self) -> float:
        """When the last loud packet arrived before 200 ms of quiet."""
        last_s, num_quiet = time.monotonic(), 0
        async with asyncio.timeout(TIMEOUT_S):
            while num_quiet < 10:
                packet = await self.packets.get()
                num_quiet = 0 if packet.is_loud else num_quiet + 1
                last_s = packet.arrived_s if packet.is_loud else last_s
        return last_s


@asynccontextmanager
async def calling(url: str, weather: Weather = FAIR) -> AsyncIterator[Client]:
    client = Client(url, weather)
    try:
        await client.call()
        yield client
    finally:
        await client.close()


def tone(frequency_hz: float, duration_ms: int) -> Samples:
    """Begins at its loudest, so that its first sample can be told."""
    time_s = np.arange(duration_ms * FRAME_SAMPLES // FRAME_MS) / SAMPLE_RATE_HZ
    return (0.3 * np.cos(2 * np.pi * frequency_hz * time_s)).astype(np.float32)
