"""What the server counts, in a registry of its own, as Prometheus text.

Fed with facts (a tick, a frame, a session that began or ended); leaves as the body of `/metrics`. Labels take a few
fixed values only: nothing a client sends becomes one.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from realtime.call_metrics import CallMetrics
from realtime.engine import EngineInfo
from realtime.refusal import RefusalCode
from realtime.scheduler import TickReport
from realtime.session.session import CloseKind
from streams.types import Timings

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
TICK_BUCKETS_S = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 1.0, 2.5)  # a tick has 0.25


class Metrics:
    def __init__(self, info: EngineInfo) -> None:
        self._registry = registry = CollectorRegistry()
        Info("omniweave_engine", "The model that runs.", registry=registry).info(
            {"model": info.name, "backend": info.backend, "weights": info.weights_hash, "build": info.build_hash}
        )
        self._ticks = Counter("omniweave_ticks", "Ticks that ran.", ["kind"], registry=registry)
        self._late = Counter(
            "omniweave_late_ticks", "Live ticks that ended after the next one's deadline.", registry=registry
        )
        self._skipped = Counter("omniweave_skipped_ticks", "Deadlines that were given up.", registry=registry)
        self._tick_s = Histogram(
            "omniweave_tick_seconds", "Duration of a tick.", ["kind"], registry=registry, buckets=TICK_BUCKETS_S
        )
        self._tick_sessions = Gauge(
            "omniweave_tick_sessions", "Sessions in the latest tick.", ["kind"], registry=registry
        )
        self._parts_s = Counter(
            "omniweave_engine_seconds", "Time the engine spent, by part.", ["part"], registry=registry
        )
        self._steps = Counter("omniweave_engine_steps", "Decode steps.", registry=registry)
        self._sessions = Gauge("omniweave_sessions", "Sessions that are open.", registry=registry)
        self._opened = Counter("omniweave_sessions_opened", "Sessions that began.", registry=registry)
        self._ended = Counter("omniweave_sessions_ended", "Sessions that ended, by how.", ["how"], registry=registry)
        self._refused = Counter("omniweave_refused", "Requests that were refused, by why.", ["why"], registry=registry)
        self._events = Counter("omniweave_events", "Events, by direction.", ["direction"], registry=registry)
        self._bytes = Counter(
            "omniweave_event_bytes", "Bytes of events, by direction.", ["direction"], registry=registry
        )
        self._errors = Counter("omniweave_client_errors", "Error events that clients were sent.", registry=registry)
        self._failed_recordings = Counter("omniweave_recordings_failed", "Recordings cut short.", registry=registry)
        self.calls = CallMetrics(registry)
        for kind in ("live", "free"):
            self._ticks.labels(kind)
            self._tick_s.labels(kind)
        for direction in ("in", "out"):
            self._events.labels(direction)
            self._bytes.labels(direction)

    # --- ticks ------------------------------------------------------------------------------------------------------

    def observe_tick(self, report: TickReport) -> None:
        kind = "live" if report.live else "free"
        self._ticks.labels(kind).inc()
        self._tick_s.labels(kind).observe(report.duration_us / 1e6)
        self._tick_sessions.labels("live").set(report.live)
        self._tick_sessions.labels("free").set(report.free)
        self._skipped.inc(report.skipped)
        if report.overran:
            self._late.inc()

    def observe_engine(self, timings: Timings) -> None:
        """Where the time of one tick went."""
        parts = {
            "encode": timings.encode_us,
            "prefill": timings.prefill_us,
            "decode": timings.decode_us,
            "codec": timings.codec_us,
        }
        for part, spent_us in parts.items():
            self._parts_s.labels(part).inc(spent_us / 1e6)
        self._steps.inc(timings.steps)

    # --- sessions ---------------------------------------------------------------------------------------------------

    def open_session(self) -> None:
        self._opened.inc()
        self._sessions.inc()

    def end_session(self, kind: CloseKind) -> None:
        self._sessions.dec()
        self._ended.labels(str(kind)).inc()

    def fail_recording(self) -> None:
        self._failed_recordings.inc()

    def refuse(self, code: RefusalCode) -> None:
        self._refused.labels(str(code)).inc()

    def receive_event(self, num_bytes: int) -> None:
        self._events.labels("in").inc()
        self._bytes.labels("in").inc(num_bytes)

    def send_event(self, num_bytes: int, is_error: bool) -> None:
        self._events.labels("out").inc()
        self._bytes.labels("out").inc(num_bytes)
        if is_error:
            self._errors.inc()

    # --- out --------------------------------------------------------------------------------------------------------

    def encode(self) -> bytes:
        """Everything as Prometheus text."""
        return generate_latest(self._registry)
