"""Microphone: RTP packets of Opus as they arrive → chunks for a session's `hear`, on one line of time. No I/O.

Packets are sorted, decoded and put where their timestamps say. Up to `MAX_CONCEALED_MS` of lost sound is guessed by
the codec; a longer gap is left open, and the session counts it as silence. Sound that the session is behind with is
shortened until it has caught up (`DelayKeeper`). Memory is bounded: three packets at most wait for another.
"""

from collections.abc import Callable
from typing import Final

from realtime.transports.webrtc.opus import FRAME_MS, FRAME_RTP_UNITS, OpusDecoder
from realtime.transports.webrtc.order import RTP_RATE_HZ, OpusPacket, RtpOrder
from streams.drift import DelayKeeper
from streams.jitter import TIMESTAMP_MODULUS, signed_distance
from streams.types import SAMPLE_RATE_HZ, AudioChunk, Samples

MAX_CONCEALED_MS: Final = 100  # beyond that a guess turns into a drone
MAX_GAP_S: Final = 60.0  # a longer jump of the timestamps is a sender that started anew


class Microphone:
    """One stream of packets. `waiting_samples` tells how much of its sound the session has not heard yet.

    `pts_us` is where the sound of this stream begins in the session's sound: after that of the stream before.
    """

    def __init__(self, waiting_samples: Callable[[], int], pts_us: int = 0) -> None:
        self._waiting_samples = waiting_samples
        self.order = RtpOrder()
        self._decoder = OpusDecoder()
        self._keeper = DelayKeeper()
        self._next_timestamp: int | None = None
        self._pts_samples = pts_us * SAMPLE_RATE_HZ // 1_000_000
        self.concealed_samples = 0
        self.undecodable = 0

    @property
    def next_pts_us(self) -> int:
        """Where a chunk begins that follows what came so far."""
        return self._pts_samples * 1_000_000 // SAMPLE_RATE_HZ

    @property
    def shortened_samples(self) -> int:
        return self._keeper.removed_samples

    def push(self, packet: OpusPacket, arrived_us: int) -> list[AudioChunk]:
        """Take one packet; return the sound that is ready because of it."""
        chunks: list[AudioChunk] = []
        for ready in self.order.push(packet, arrived_us):
            chunks += self._fill_gap_before(ready.timestamp)
            pcm = self._decode(ready.payload)
            duration_units = len(pcm) * RTP_RATE_HZ // SAMPLE_RATE_HZ
            self._next_timestamp = (ready.timestamp + duration_units) % TIMESTAMP_MODULUS
            chunks += self._place(pcm)
        return chunks

    def _fill_gap_before(self, timestamp: int) -> list[AudioChunk]:
        """A guess for what is missing before `timestamp`; the rest of a long gap moves the line of time on."""
        if self._next_timestamp is None:
            return []
        gap_units = signed_distance(self._next_timestamp, timestamp, TIMESTAMP_MODULUS)
        if not 0 < gap_units <= MAX_GAP_S * RTP_RATE_HZ:
            return []
        num_frames = min(gap_units // FRAME_RTP_UNITS, MAX_CONCEALED_MS // FRAME_MS)
        guesses = [self._decoder.conceal() for _ in range(num_frames)]
        chunks = [chunk for guess in guesses for chunk in self._place(guess)]
        num_guessed = sum(map(len, guesses))
        self.concealed_samples += num_guessed
        self._pts_samples += max(gap_units * SAMPLE_RATE_HZ // RTP_RATE_HZ - num_guessed, 0)
        return chunks

    def _decode(self, payload: bytes) -> Samples:
        try:
            return self._decoder.push(payload)
        except ValueError:
            self.undecodable += 1
            return self._decoder.conceal()

    def _place(self, pcm: Samples) -> list[AudioChunk]:
        kept = self._keeper.push(pcm, self._waiting_samples())
        if not len(kept):
            return []
        chunk = AudioChunk(self.next_pts_us, kept)
        self._pts_samples += len(kept)
        return [chunk]
