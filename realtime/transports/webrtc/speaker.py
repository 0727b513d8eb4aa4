"""SpeakerTrack: the agent's sound as a track that aiortc sends: a packet of Opus every 20 ms, silence when idle.

Packets are numbered by the clock, not by how often they were asked for: a process that stood still for long goes on
where the others' clocks are, instead of sending what it missed in one burst.
"""

from collections.abc import Callable
from typing import Any, Final

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from realtime.transports.webrtc.opus import FRAME_MS, FRAME_RTP_UNITS, FRAME_SAMPLES, RTP_TIME_BASE, OpusEncoder
from streams.clock import Clock
from streams.types import Samples

FRAME_US: Final = FRAME_MS * 1_000
MAX_BEHIND_US: Final = 200_000  # what is caught up with by sending faster


class SpeakerTrack(MediaStreamTrack):
    """`take` gives the next samples to be played, however many are asked for."""

    kind = "audio"

    def __init__(self, take: Callable[[int], Samples], clock: Clock) -> None:
        super().__init__()
        self._take = take
        self._clock = clock
        self._encoder = OpusEncoder()
        self._start_us: int | None = None
        self._num_frames = 0

    async def recv(self) -> "av.Packet[Any]":
        """The next packet, at its time."""
        if self._start_us is None:
            self._start_us = self._clock.now_us()
        due_us = self._start_us + self._num_frames * FRAME_US
        behind_us = self._clock.now_us() - due_us
        if behind_us > MAX_BEHIND_US:
            self._num_frames += behind_us // FRAME_US
        else:
            await self._clock.sleep_until_us(due_us)
        if self.readyState != "live":
            raise MediaStreamError
        packet = av.Packet(self._encoder.push(self._take(FRAME_SAMPLES)))
        packet.pts = self._num_frames * FRAME_RTP_UNITS
        packet.time_base = RTP_TIME_BASE
        self._num_frames += 1
        return packet
