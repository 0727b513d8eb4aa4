"""Offers that somebody mangled: each is answered or refused in words, and every connection can be closed."""

import asyncio
import random
from typing import Any

from aiortc import RTCPeerConnection

from realtime.rtc_config import RtcConfig
from realtime.transports.webrtc.ice import IceNetwork
from realtime.transports.webrtc.offer import read_offer
from realtime.transports.webrtc.peer import Peer
from streams.clock import SystemClock

NUM_OFFERS = 60


class Indifferent:
    """An owner who takes no notice."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


async def sound_offer() -> str:
    client = RTCPeerConnection()
    client.addTransceiver("audio")
    client.addTransceiver("video")
    client.createDataChannel("oai-events")
    offer = await client.createOffer()
    await client.close()
    return offer.sdp


def mangled(sdp: str, rng: random.Random) -> str:
    lines = sdp.split("\r\n")
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(lines))
        line = lines[place]
        match rng.randrange(4):
            case 0:
                del lines[place]
            case 1:
                lines.insert(place, rng.choice(lines))
            case 2:
                cut = rng.randrange(len(line) + 1)
                lines[place] = line[:cut] + rng.choice("0 9:/-x=\x00é") + line[cut + 1 :]
            case 3:
                lines[place] = line[: rng.randrange(len(line) + 1)]
    return "\r\n".join(lines)


async def test_mangled_offers_are_answered_or_refused():
    sdp = await sound_offer()
    rng = random.Random(11)
    network = IceNetwork(RtcConfig())
    num_answered = num_refused = 0
    for _ in range(NUM_OFFERS):
        peer = Peer(Indifferent(), network, RtcConfig(), True, SystemClock())
        try:
            async with asyncio.timeout(20):
                await peer.answer(read_offer(mangled(sdp, rng)))
            num_answered += 1
        except ValueError:
            num_refused += 1
        finally:
            await peer.close()
    assert num_answered > 5
    assert num_refused > 5


async def test_only_one_microphone_and_one_camera_are_received():
    client = RTCPeerConnection()
    for kind in ("video", "audio", "audio", "video"):
        client.addTransceiver(kind)
    client.createDataChannel("oai-events")
    offer = await client.createOffer()
    for sees, expected in ((True, ["recvonly", "sendrecv", "inactive", "inactive"]), (False, ["inactive", "sendrecv"])):
        peer = Peer(Indifferent(), IceNetwork(RtcConfig()), RtcConfig(), sees, SystemClock())
        answer = await peer.answer(read_offer(offer.sdp))
        directions = [line[2:] for line in answer.splitlines() if line[2:] in ("sendrecv", "recvonly", "inactive")]
        assert directions[: len(expected)] == expected
        await peer.close()
    await client.close()
