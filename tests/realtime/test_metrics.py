"""What is counted is what /metrics says."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from realtime.engine import EngineInfo
from realtime.metrics import Metrics
from realtime.refusal import RefusalCode
from realtime.scheduler import TickReport
from realtime.session.session import CloseKind
from streams.types import Timings

INFO = EngineInfo(
    name="echo",
    max_sessions=4,
    max_steps_per_tick=8,
    weights_hash="none",
    build_hash="b0",
    backend="python",
    hears=True,
    sees=True,
    speaks=True,
    draws=False,
    self_paced=False,
)


def read(metrics: Metrics, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(metrics.encode().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def tick(live: int, free: int, duration_us: int, late_us: int = 0, skipped: int = 0) -> TickReport:
    return TickReport(
        live=live, free=free, waiting=0, started_us=0, duration_us=duration_us, late_us=late_us, skipped=skipped
    )


def test_ticks_are_counted_by_kind_with_their_durations() -> None:
    metrics = Metrics(INFO)
    metrics.observe_tick(tick(live=2, free=1, duration_us=70_000))
    metrics.observe_tick(tick(live=0, free=3, duration_us=10_000))
    metrics.observe_tick(tick(live=0, free=1, duration_us=20_000))
    assert read(metrics, "omniweave_ticks_total", kind="live") == 1
    assert read(metrics, "omniweave_ticks_total", kind="free") == 2
    assert read(metrics, "omniweave_tick_seconds_sum", kind="free") == pytest.approx(0.03)
    assert read(metrics, "omniweave_tick_seconds_bucket", kind="live", le="0.06") == 0
    assert read(metrics, "omniweave_tick_seconds_bucket", kind="live", le="0.08") == 1
    assert read(metrics, "omniweave_tick_sessions", kind="live") == 0


def test_a_live_tick_beyond_its_deadline_is_late_and_a_slow_free_tick_is_not() -> None:
    metrics = Metrics(INFO)
    metrics.observe_tick(tick(live=1, free=0, duration_us=200_000, late_us=60_000))
    metrics.observe_tick(tick(live=1, free=0, duration_us=200_000, late_us=40_000, skipped=3))
    metrics.observe_tick(tick(live=0, free=1, duration_us=900_000))
    assert read(metrics, "omniweave_late_ticks_total") == 1
    assert read(metrics, "omniweave_skipped_ticks_total") == 3


def test_the_parts_of_the_engine_add_up() -> None:
    metrics = Metrics(INFO)
    for _ in range(2):
        metrics.observe_engine(Timings(encode_us=1_000, prefill_us=2_000, decode_us=30_000, codec_us=4_000, steps=8))
    assert read(metrics, "omniweave_engine_seconds_total", part="decode") == pytest.approx(0.06)
    assert read(metrics, "omniweave_engine_seconds_total", part="codec") == pytest.approx(0.008)
    assert read(metrics, "omniweave_engine_steps_total") == 16


def test_sessions_are_counted_while_they_are_open_and_by_how_they_ended() -> None:
    metrics = Metrics(INFO)
    metrics.open_session()
    metrics.open_session()
    metrics.end_session(CloseKind.EXPIRED)
    assert read(metrics, "omniweave_sessions") == 1
    assert read(metrics, "omniweave_sessions_opened_total") == 2
    assert read(metrics, "omniweave_sessions_ended_total", how="expired") == 1


def test_events_bytes_errors_and_refusals_are_counted() -> None:
    metrics = Metrics(INFO)
    metrics.receive_event(100)
    metrics.send_event(40, is_error=False)
    metrics.send_event(60, is_error=True)
    metrics.refuse(RefusalCode.NO_CAPACITY)
    assert read(metrics, "omniweave_events_total", direction="in") == 1
    assert read(metrics, "omniweave_event_bytes_total", direction="out") == 100
    assert read(metrics, "omniweave_client_errors_total") == 1
    assert read(metrics, "omniweave_refused_total", why="no_capacity") == 1


def test_the_engine_is_named() -> None:
    engine = read(Metrics(INFO), "omniweave_engine_info", model="echo", backend="python", weights="none", build="b0")
    assert engine == 1


def test_two_servers_in_one_process_count_apart() -> None:
    first, second = Metrics(INFO), Metrics(INFO)
    first.open_session()
    assert read(second, "omniweave_sessions") == 0
