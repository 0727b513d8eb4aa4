"""Tracks: what is taken from aiortc before it piles up there, what the camera shows, when packets of speech leave."""

import asyncio
from collections import deque
from collections.abc import Sequence

import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket

from realtime.transports.webrtc.camera import INTERVAL_US, MAX_SIDE, Camera, rgb_of
from realtime.transports.webrtc.delivery import SentEvents, num_undelivered
from realtime.transports.webrtc.opus import FRAME_SAMPLES
from realtime.transports.webrtc.order import OpusPacket
from realtime.transports.webrtc.receivers import (
    MAX_VIDEO_BACKLOG,
    SoundTap,
    VideoGate,
    gate_video,
    is_key_frame,
    tap_sound,
)
from realtime.transports.webrtc.speaker import FRAME_US, MAX_BEHIND_US, SpeakerTrack
from streams.clock import FakeClock, SystemClock
from streams.types import Pixels, Samples

KEY_FRAME, LATER_FRAME = b"\x10\x02\x00", b"\x11\x02\x00"


def rtp(number: int, payload: bytes = b"sound") -> RtpPacket:
    packet = RtpPacket(sequence_number=number, timestamp=number * 960)
    packet.payload = payload
    return packet


# --- receivers ------------------------------------------------------------------------------------------------------


def test_packets_of_sound_go_to_whoever_wants_them_and_to_no_decoder():
    taken: list[OpusPacket] = []
    tap = SoundTap(taken.append)
    assert tap.add(rtp(7)) == (False, None)
    assert tap.add(rtp(8, b"")) == (False, None)
    assert taken == [OpusPacket(7, 7 * 960, b"sound")]


class ReadyFrames:
    """A jitter buffer with a frame for every packet."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self._frames = deque(frames)

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        return False, JitterFrame(self._frames.popleft(), 0)


def test_a_decoder_that_is_behind_gets_nothing_until_the_next_key_frame():
    waiting = 0
    frames = [KEY_FRAME, LATER_FRAME, LATER_FRAME, LATER_FRAME, KEY_FRAME, LATER_FRAME]
    gate = VideoGate(ReadyFrames(frames), lambda: waiting)  # type: ignore[arg-type]
    passed: list[bool] = []
    asked: list[bool] = []
    for number, backlog in enumerate([0, 0, MAX_VIDEO_BACKLOG, 0, 0, 0]):
        waiting = backlog
        asks_for_key, frame = gate.add(rtp(number))
        passed.append(frame is not None)
        asked.append(asks_for_key)
    assert passed == [True, True, False, False, True, True]
    assert asked == [False, False, True, True, False, False]
    assert gate.num_dropped == 2


@pytest.mark.parametrize(
    ("data", "is_key"),
    [
        (KEY_FRAME, True),
        (LATER_FRAME, False),
        (b"", False),
        (b"\x00\x00\x00\x01\x67\x42\x00\x00\x00\x01\x65\x88", True),
        (b"\x00\x00\x00\x01\x41\x9a\x00", False),
    ],
)
def test_key_frames_are_recognised(data: bytes, is_key: bool):
    assert is_key_frame(data) is is_key


async def test_aiortc_still_has_what_is_replaced():
    peer = RTCPeerConnection()
    sound = peer.addTransceiver("audio", "recvonly")
    video = peer.addTransceiver("video", "recvonly")
    taken: list[OpusPacket] = []
    tap_sound(sound.receiver, taken.append)
    gate = gate_video(video.receiver)
    assert sound.receiver._RTCRtpReceiver__jitter_buffer.add(rtp(1)) == (False, None)
    assert len(taken) == 1
    assert video.receiver._RTCRtpReceiver__jitter_buffer is gate
    await peer.close()


# --- delivery -------------------------------------------------------------------------------------------------------


async def test_what_the_other_side_did_not_acknowledge_is_known():
    here, there = RTCPeerConnection(), RTCPeerConnection()
    channel = here.createDataChannel("events")
    opened, received = asyncio.Event(), asyncio.Queue[str]()
    channel.on("open", opened.set)
    there.on("datachannel", lambda other: other.on("message", received.put_nowait))
    await here.setLocalDescription(await here.createOffer())
    await there.setRemoteDescription(here.localDescription)
    await there.setLocalDescription(await there.createAnswer())
    await here.setRemoteDescription(there.localDescription)
    async with asyncio.timeout(20):
        await opened.wait()
        for text in ("short", "long" * 5_000):
            channel.send(text)
            assert num_undelivered(channel) == 1
            assert await received.get() == text
            while num_undelivered(channel):  # until the acknowledgement comes
                await SystemClock().sleep_until_us(SystemClock().now_us() + 1_000)
    transport = channel.transport.transport.transport
    for protocol in transport._connection._protocols:
        protocol.datagram_received = lambda data, address: None  # no acknowledgement comes any more
    for number in range(300):
        channel.send(f"{number} " + "x" * 2_000)
    for _ in range(20):
        await asyncio.sleep(0)
    assert num_undelivered(channel) == 300
    await here.close()
    assert num_undelivered(channel) == 300, "a closed connection has delivered nothing more"
    await there.close()


def test_what_was_delivered_is_not_sent_again():
    sent = SentEvents()
    sent.push("one", num_undelivered=1)
    sent.push("two", num_undelivered=2)
    sent.push("three", num_undelivered=2)
    sent.trim(2)
    assert sent.pop_all() == ["two", "three"]
    assert sent.pop_all() == []


# --- the camera -----------------------------------------------------------------------------------------------------


class Film(MediaStreamTrack):
    """Frames that are there already; then the track ends."""

    kind = "video"

    def __init__(self, frames: list[av.VideoFrame]) -> None:
        super().__init__()
        self._frames = frames

    async def recv(self) -> av.VideoFrame:
        if not self._frames:
            raise MediaStreamError
        return self._frames.pop(0)


class EndlessFilm(Film):
    """Waits for more when all was shown."""

    async def recv(self) -> av.VideoFrame:
        if not self._frames:
            await asyncio.Event().wait()
        return await super().recv()


def grey(level: int, width: int = 32, height: int = 16) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((height, width, 3), level, np.uint8), format="rgb24")


async def test_the_newest_frame_wins_and_all_are_read():
    seen: asyncio.Queue[Pixels] = asyncio.Queue()
    clock = FakeClock()
    film = EndlessFilm([grey(level) for level in (10, 20, 30)])
    camera = Camera(film, seen.put_nowait, clock)
    running = asyncio.create_task(camera.run())
    first = await asyncio.wait_for(seen.get(), 20)
    assert abs(int(first.mean()) - 30) <= 2
    assert (camera.num_received, camera.num_seen) == (3, 1)
    await clock.advance_us(INTERVAL_US)
    assert seen.empty(), "nothing new came"
    running.cancel()
    await asyncio.wait({running})


async def test_a_camera_ends_with_its_track():
    camera = Camera(Film([grey(10)]), lambda rgb: None, FakeClock())
    await asyncio.wait_for(camera.run(), 20)
    assert camera.num_received == 1


def test_large_pictures_are_scaled_down():
    assert rgb_of(grey(99, 1_920, 1_080)).shape == (576, MAX_SIDE, 3)
    assert rgb_of(grey(99, 320, 240)).shape == (240, 320, 3)


# --- the speaker ----------------------------------------------------------------------------------------------------


def silence(num_samples: int) -> Samples:
    return np.zeros(num_samples, np.float32)


async def packet_times(clock: FakeClock, track: SpeakerTrack, duration_us: int) -> list[tuple[int, int]]:
    """(when, RTP timestamp) of each packet that leaves."""
    times: list[tuple[int, int]] = []

    async def send() -> None:
        while True:
            packet = await track.recv()
            times.append((clock.now_us(), packet.pts))

    sending = asyncio.create_task(send())
    await clock.advance_us(duration_us)
    sending.cancel()
    await asyncio.wait({sending})
    return times


async def test_a_packet_leaves_every_20_ms():
    clock = FakeClock(start_us=5_000)
    times = await packet_times(clock, SpeakerTrack(silence, clock), 5 * FRAME_US)
    assert times == [(5_000 + number * FRAME_US, number * 960) for number in range(6)]


async def test_a_short_delay_is_caught_up_with():
    clock = FakeClock()
    track = SpeakerTrack(silence, clock)
    await packet_times(clock, track, 2 * FRAME_US)
    await clock.advance_us(5 * FRAME_US)  # nobody sends
    times = await packet_times(clock, track, FRAME_US)
    assert [pts // 960 for _, pts in times] == [3, 4, 5, 6, 7, 8]


async def test_a_long_one_is_skipped():
    clock = FakeClock()
    track = SpeakerTrack(silence, clock)
    await packet_times(clock, track, 2 * FRAME_US)
    await clock.advance_us(10 * MAX_BEHIND_US)
    times = await packet_times(clock, track, FRAME_US)
    assert [pts // 960 for _, pts in times] == [102, 103]


async def test_a_stopped_track_gives_no_packet():
    track = SpeakerTrack(silence, FakeClock())
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


async def test_speech_is_taken_one_frame_at_a_time():
    asked: list[int] = []

    def take(num_samples: int) -> Samples:
        asked.append(num_samples)
        return silence(num_samples)

    await SpeakerTrack(take, FakeClock()).recv()
    assert asked == [FRAME_SAMPLES]
