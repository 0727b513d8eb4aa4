"""RtpOrder: Opus packets as the network delivers them → each once, in the order they were sent. Pure.

A packet whose predecessors came leaves at once; others wait until `max_held` packets came after a hole, which is then
given up. Sorting has to come before decoding, because an Opus decoder carries its state from packet to packet.
Also measures jitter as RFC 3550 does. Never sleeps; the arrival time is an argument.
"""

from dataclasses import dataclass
from typing import Final

from streams.jitter import MAX_DROPOUT, MAX_MISORDER, SEQUENCE_MODULUS, TIMESTAMP_MODULUS, signed_distance

RTP_RATE_HZ: Final = 48_000  # of Opus timestamps, whatever the sound's own rate (RFC 7587, section 4.1)
DEFAULT_MAX_HELD: Final = 3  # packets of 20 ms: a packet overtaken by more is lost


@dataclass(frozen=True, slots=True)
class OpusPacket:
    """The payload of one RTP packet. `timestamp` has 32 bits and counts at 48 kHz."""

    sequence: int
    timestamp: int
    payload: bytes

    def __repr__(self) -> str:
        return f"OpusPacket(#{self.sequence} @{self.timestamp} +{len(self.payload)}B)"


@dataclass(slots=True)
class OrderStats:
    """What happened so far. `jitter_us` is the estimate of RFC 3550, section 6.4.1, smoothed over 16 packets."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    restarts: int = 0
    jitter_us: float = 0.0


class RtpOrder:
    def __init__(self, max_held: int = DEFAULT_MAX_HELD) -> None:
        if max_held < 1:
            raise ValueError(f"at least one packet must be held to sort any, got {max_held}")
        self._max_held = max_held
        self._held: dict[int, OpusPacket] = {}
        self._next: int | None = None
        self._stray: int | None = None  # the sequence that would confirm a sender that started anew
        self._last_arrived_us: float | None = None
        self._last_timestamp = 0
        self.stats = OrderStats()

    def push(self, packet: OpusPacket, arrived_us: int) -> list[OpusPacket]:
        """Take one packet; return those that are ready because of it, often one, sometimes none."""
        self.stats.received += 1
        self._measure_jitter(packet.timestamp, arrived_us)
        if self._next is None:
            self._next = packet.sequence
        ahead = signed_distance(self._next, packet.sequence, SEQUENCE_MODULUS)
        if ahead < -MAX_MISORDER or ahead >= MAX_DROPOUT:
            return self._consider_restart(packet)
        self._stray = None
        if ahead < 0:
            self.stats.late += 1
            return []
        if packet.sequence in self._held:
            self.stats.duplicate += 1
            return []
        self._held[packet.sequence] = packet
        return self._release(self._max_held)

    def _release(self, max_held: int) -> list[OpusPacket]:
        ready: list[OpusPacket] = []
        while self._held:
            assert self._next is not None
            packet = self._held.pop(self._next, None)
            if packet is not None:
                ready.append(packet)
                self._next = (self._next + 1) % SEQUENCE_MODULUS
            elif len(self._held) > max_held:
                self._give_up_hole(self._next)
            else:
                break
        return ready

    def _give_up_hole(self, expected: int) -> None:
        oldest = min(self._held, key=lambda sequence: (sequence - expected) % SEQUENCE_MODULUS)
        self.stats.lost += (oldest - expected) % SEQUENCE_MODULUS
        self._next = oldest

    def _consider_restart(self, packet: OpusPacket) -> list[OpusPacket]:
        """One packet from elsewhere is a stray; two in a row are a sender that started anew (RFC 3550, A.1)."""
        if packet.sequence != self._stray:
            self._stray = (packet.sequence + 1) % SEQUENCE_MODULUS
            self.stats.late += 1
            return []
        ready = self._release(max_held=0)
        self.stats.restarts += 1
        self._stray = None
        self._last_arrived_us = None
        self._next = (packet.sequence + 1) % SEQUENCE_MODULUS
        return [*ready, packet]

    def _measure_jitter(self, timestamp: int, arrived_us: int) -> None:
        step_us = signed_distance(self._last_timestamp, timestamp, TIMESTAMP_MODULUS) * 1e6 / RTP_RATE_HZ
        self._last_timestamp = timestamp
        if self._last_arrived_us is not None:
            deviation_us = abs(arrived_us - self._last_arrived_us - step_us)
            self.stats.jitter_us += (deviation_us - self.stats.jitter_us) / 16
        self._last_arrived_us = arrived_us
