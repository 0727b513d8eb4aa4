"""What arrives over RTP, taken from aiortc's receivers before it can pile up there.

aiortc's jitter buffer for sound delays it by 80 ms, and for good by 320 ms after the first lost packet; its decoder
threads and tracks queue without bound. So packets of sound go to the caller as they come, and video to aiortc's decoder
only as fast as that keeps up. Both hooks replace the receiver's jitter buffer, a private attribute; `tap` functions
fail at once where aiortc no longer has it.
"""

import queue
from collections.abc import Callable
from typing import Final, TypeAlias

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from realtime.transports.webrtc.order import OpusPacket

TakeSound: TypeAlias = Callable[[OpusPacket], None]

_BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"
_BACKLOG: Final = "_RTCRtpReceiver__decoder_queue"
VIDEO_CAPACITY: Final = 512  # packets, as aiortc has it: some three key frames
MAX_VIDEO_BACKLOG: Final = 15  # frames that may wait for the decoder: half a second


class SoundTap:
    """In place of a jitter buffer: hands every packet on and never gives the decoder a frame."""

    def __init__(self, take: TakeSound) -> None:
        self._take = take

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        if packet.payload:
            self._take(OpusPacket(packet.sequence_number, packet.timestamp, packet.payload))
        return False, None


class VideoGate:
    """A jitter buffer that drops frames while the decoder is behind, then asks the sender for a key frame.

    A frame that refers to a dropped one would decode to rubbish, so everything up to the key frame is dropped.
    """

    def __init__(self, buffer: JitterBuffer, num_waiting: Callable[[], int]) -> None:
        self._buffer = buffer
        self._num_waiting = num_waiting
        self._needs_key = False
        self.num_dropped = 0

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        asks_for_key, frame = self._buffer.add(packet)
        if frame is None:
            return asks_for_key, None
        if self._num_waiting() >= MAX_VIDEO_BACKLOG:
            self._needs_key = True
        elif self._needs_key and is_key_frame(frame.data):
            self._needs_key = False
        if self._needs_key:
            self.num_dropped += 1
            return True, None
        return asks_for_key, frame


def is_key_frame(data: bytes) -> bool:
    """Whether decoding can begin here: H.264 in the byte stream that aiortc makes of it, or VP8."""
    if data.startswith(b"\x00\x00\x00\x01"):
        # ITU-T H.264, table 7-1: a sequence parameter set (7) comes with every key frame (5)
        return any(piece[:1] and piece[0] & 0x1F in (5, 7) for piece in data.split(b"\x00\x00\x01")[1:])
    return bool(data) and data[0] & 1 == 0  # RFC 6386, section 9.1


def tap_sound(receiver: RTCRtpReceiver, take: TakeSound) -> None:
    """From now on, packets of sound go to `take` and nowhere else."""
    _replace_buffer(receiver, SoundTap(take))


def gate_video(receiver: RTCRtpReceiver) -> VideoGate:
    """From now on, no more than `MAX_VIDEO_BACKLOG` frames wait for the decoder."""
    backlog = getattr(receiver, _BACKLOG)
    assert isinstance(backlog, queue.Queue), "aiortc keeps frames elsewhere now"
    gate = VideoGate(JitterBuffer(VIDEO_CAPACITY, is_video=True), backlog.qsize)
    _replace_buffer(receiver, gate)
    return gate


def _replace_buffer(receiver: RTCRtpReceiver, buffer: SoundTap | VideoGate) -> None:
    assert isinstance(getattr(receiver, _BUFFER), JitterBuffer), "aiortc buffers packets elsewhere now"
    setattr(receiver, _BUFFER, buffer)
