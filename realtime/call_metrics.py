"""What calls count, in the server's registry: how many, what the network did to their sound, and how much waits.

Fed with facts by calls. No labels but fixed ones.
"""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

JITTER_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
QUEUE_BUCKETS_S = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 30.0)


class PacketFate(StrEnum):
    """What became of a client's packets of sound."""

    RECEIVED = "received"
    LOST = "lost"
    LATE = "late"
    UNDECODABLE = "undecodable"


class CallMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Gauge("omniweave_calls", "WebRTC calls that are open.", registry=registry)
        self._opened = Counter("omniweave_calls_opened", "WebRTC calls that began.", registry=registry)
        self._resumed = Counter(
            "omniweave_calls_resumed", "WebRTC calls that went on over a new connection.", registry=registry
        )
        self._packets = Counter(
            "omniweave_call_packets", "Packets of sound from clients, by fate.", ["fate"], registry=registry
        )
        self._jitter_s = Histogram(
            "omniweave_call_jitter_seconds",
            "Jitter of clients' packets, sampled once a second.",
            registry=registry,
            buckets=JITTER_BUCKETS_S,
        )
        self._queue_s = Histogram(
            "omniweave_call_queue_seconds",
            "Sound waiting to be heard by the model (in) or to be played (out), sampled once a second.",
            ["direction"],
            registry=registry,
            buckets=QUEUE_BUCKETS_S,
        )
        self._concealed_s = Counter(
            "omniweave_call_concealed_seconds", "Lost sound that the codec guessed.", registry=registry
        )
        self._shortened_s = Counter(
            "omniweave_call_shortened_seconds",
            "Sound taken out to keep delay low, by direction.",
            ["direction"],
            registry=registry,
        )
        for fate in PacketFate:
            self._packets.labels(str(fate))
        for direction in ("in", "out"):
            self._queue_s.labels(direction)
            self._shortened_s.labels(direction)

    def open_call(self) -> None:
        self._opened.inc()
        self._calls.inc()

    def end_call(self) -> None:
        self._calls.dec()

    def resume_call(self) -> None:
        self._resumed.inc()

    def count_packets(self, fate: PacketFate, num_packets: int) -> None:
        self._packets.labels(str(fate)).inc(num_packets)

    def count_repairs(self, concealed_s: float, shortened_in_s: float, shortened_out_s: float) -> None:
        self._concealed_s.inc(concealed_s)
        self._shortened_s.labels("in").inc(shortened_in_s)
        self._shortened_s.labels("out").inc(shortened_out_s)

    def observe(self, jitter_s: float, queued_in_s: float, queued_out_s: float) -> None:
        self._jitter_s.observe(jitter_s)
        self._queue_s.labels("in").observe(queued_in_s)
        self._queue_s.labels("out").observe(queued_out_s)
