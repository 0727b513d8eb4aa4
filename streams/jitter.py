"""JitterBuffer: packets in any order -> contiguous samples. Never sleeps, never reads the clock.

Packets carry an RTP sequence number (16 bits) and timestamp (32 bits, one unit per sample) and decoded samples.
Runs leave in order and without holes: a packet that did not come in time leaves a run of silence marked `gap`, which
a concealer may replace. Late packets and duplicates are dropped and counted. At most `depth_samples` are held.
"""

from dataclasses import dataclass

import numpy as np

from streams.types import Samples

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32

# RFC 3550, appendix A.1: how far a sequence number may jump before it means that the sender started anew.
MAX_DROPOUT = 3_000
MAX_MISORDER = 100


def signed_distance(from_value: int, to_value: int, modulus: int) -> int:
    """The shortest way from one wrapping counter value to another, in [-modulus/2, modulus/2)."""
    half = modulus // 2
    return (to_value - from_value + half) % modulus - half


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """One RTP packet after decoding: float32 [num_samples], mono, at the RTP clock's rate."""

    sequence: int
    timestamp: int
    pcm: Samples

    def __post_init__(self) -> None:
        if not 0 <= self.sequence < SEQUENCE_MODULUS:
            raise ValueError(f"a sequence number has 16 bits, got {self.sequence}")
        if not 0 <= self.timestamp < TIMESTAMP_MODULUS:
            raise ValueError(f"an RTP timestamp has 32 bits, got {self.timestamp}")
        if self.pcm.ndim != 1 or not len(self.pcm):
            raise ValueError(f"a packet holds mono samples, got shape {self.pcm.shape}")

    def __repr__(self) -> str:
        return f"Packet(#{self.sequence} @{self.timestamp} +{len(self.pcm)})"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Samples that follow the run before without a hole. `start_sample` counts from the first packet."""

    start_sample: int
    pcm: Samples
    gap: bool = False

    def __repr__(self) -> str:
        return f"Run({self.start_sample} +{len(self.pcm)}{' gap' if self.gap else ''})"


@dataclass(slots=True)
class JitterStats:
    """What happened so far. `gap_samples` are the samples of silence put in, for whatever reason."""

    received: int = 0
    late: int = 0
    duplicate: int = 0
    lost: int = 0
    gap_samples: int = 0
    restarts: int = 0


class JitterBuffer:
    """Reorders one RTP stream.

    A packet whose predecessors all came leaves at once. Otherwise it waits until the samples held behind the hole
    would exceed `depth_samples`; then the hole is given up. A jump of the timestamp by more than `max_gap_samples`,
    or of the sequence number by more than RFC 3550 allows, is a sender that started anew: its samples follow without
    a gap.
    """

    def __init__(self, depth_samples: int, max_gap_samples: int) -> None:
        if depth_samples < 1 or max_gap_samples < 0:
            raise ValueError(f"depth must be positive and gaps not negative, got {depth_samples}, {max_gap_samples}")
        self._depth_samples = depth_samples
        self._max_gap_samples = max_gap_samples
        self._held: dict[int, Packet] = {}
        self._held_samples = 0
        self._next_sequence: int | None = None
        self._next_timestamp = 0
        self._num_samples = 0
        self._restart_sequence: int | None = None
        self.stats = JitterStats()

    @property
    def held_samples(self) -> int:
        return self._held_samples

    def push(self, packet: Packet) -> list[Run]:
        """Take one packet; return the runs that are ready because of it, often one, sometimes none."""
        self.stats.received += 1
        if self._next_sequence is None:
            self._start_at(packet)
            return self._accept(packet)

        ahead = signed_distance(self._next_sequence, packet.sequence, SEQUENCE_MODULUS)
        if ahead < -MAX_MISORDER or ahead >= MAX_DROPOUT:
            return self._consider_restart(packet)
        self._restart_sequence = None
        if ahead < 0:
            self.stats.late += 1
            return []
        if packet.sequence in self._held:
            self.stats.duplicate += 1
            return []
        return self._accept(packet)

    def flush(self) -> list[Run]:
        """Give up every hole and return all that is held; the next packet continues as usual."""
        return self._release(down_to_samples=0)

    def _accept(self, packet: Packet) -> list[Run]:
        self._held[packet.sequence] = packet
        self._held_samples += len(packet.pcm)
        return self._release(down_to_samples=self._depth_samples)

    def _release(self, down_to_samples: int) -> list[Run]:
        runs: list[Run] = []
        while self._held:
            packet = self._held.pop(self._expected_sequence, None)
            if packet is None:
                if self._held_samples <= down_to_samples:
                    break
                self._give_up_hole()
                continue
            self._held_samples -= len(packet.pcm)
            self._next_sequence = (packet.sequence + 1) % SEQUENCE_MODULUS
            runs += self._place(packet)
        return runs

    @property
    def _expected_sequence(self) -> int:
        assert self._next_sequence is not None
        return self._next_sequence

    def _give_up_hole(self) -> None:
        """Move on to the oldest packet held."""
        expected = self._expected_sequence
        oldest = min(self._held, key=lambda sequence: (sequence - expected) % SEQUENCE_MODULUS)
        self.stats.lost += (oldest - expected) % SEQUENCE_MODULUS
        self._next_sequence = oldest

    def _place(self, packet: Packet) -> list[Run]:
        """Put a packet where its timestamp says: after silence, or less what was played already."""
        gap = signed_distance(self._next_timestamp, packet.timestamp, TIMESTAMP_MODULUS)
        pcm = packet.pcm
        runs: list[Run] = []
        if abs(gap) > self._max_gap_samples:
            self.stats.restarts += 1
        elif gap > 0:
            self.stats.gap_samples += gap
            runs.append(self._run(np.zeros(gap, np.float32), gap=True))
        elif gap < 0:
            pcm = pcm[-gap:]
            if not len(pcm):
                self.stats.late += 1
                return runs
        self._next_timestamp = (packet.timestamp + len(packet.pcm)) % TIMESTAMP_MODULUS
        runs.append(self._run(pcm, gap=False))
        return runs

    def _run(self, pcm: Samples, gap: bool) -> Run:
        run = Run(self._num_samples, pcm, gap)
        self._num_samples += len(pcm)
        return run

    def _consider_restart(self, packet: Packet) -> list[Run]:
        """One packet from elsewhere is a stray; two in a row are a sender that started anew (RFC 3550, A.1)."""
        if packet.sequence != self._restart_sequence:
            self._restart_sequence = (packet.sequence + 1) % SEQUENCE_MODULUS
            self.stats.late += 1
            return []
        runs = self.flush()
        self.stats.restarts += 1
        self._start_at(packet)
        return runs + self._accept(packet)

    def _start_at(self, packet: Packet) -> None:
        self._next_sequence = packet.sequence
        self._next_timestamp = packet.timestamp
        self._restart_sequence = None
