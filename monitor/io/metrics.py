"""The live state in Prometheus' text format, made from the same pictures as the page."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from monitor.core.views import ScanView
from monitor.io.live import Live


def metrics_text(live: Live) -> bytes:
    """What /metrics answers. Counters are of the newest scan, since a scan is what an operator asks about."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)  # CPU time, memory, open files; Linux alone gives them
    health = live.health()
    _gauge(registry, "healthy", "1 while the health status is ok", float(health.status == "ok"))
    _gauge(registry, "rate_spectra_per_second", "Spectra received per second, over 5 s", health.rate_spectra_per_s)
    if health.data_age_s is not None:
        _gauge(registry, "data_age_seconds", "Seconds since the last message", health.data_age_s)
    errors = Counter(
        "eelswatch_wire_errors", "Messages refused that belong to no known scan", ["kind"], registry=registry
    )
    for kind, number in health.wire_errors.kinds.items():
        errors.labels(kind).inc(number)
    stray = Counter("eelswatch_stray_messages", "Messages of no known scan", registry=registry)
    stray.inc(health.stray)
    resends = Counter("eelswatch_resends", "Resends since the start", ["state"], registry=registry)
    resends.labels("asked").inc(health.resends.asked)
    resends.labels("answered").inc(health.resends.answered)
    _gauge(registry, "rows_waiting", "Rows of all open scans that wait for a score", health.rows_waiting)
    if health.messages_waiting is not None:
        _gauge(registry, "messages_waiting", "Messages that wait in the source", health.messages_waiting)
    if health.disk_free_bytes is not None:
        _gauge(registry, "disk_free_bytes", "Room in the data folder", health.disk_free_bytes)
    newest = next(iter(live.scans()), None)
    if newest is not None:
        _of_scan(registry, newest)
    return generate_latest(registry)


def _of_scan(registry: CollectorRegistry, newest: ScanView) -> None:
    pixels = Gauge("eelswatch_scan_pixels", "Pixels of the newest scan", ["state"], registry=registry)
    for state in ("received", "scored", "provisional", "missing", "flagged"):
        pixels.labels(state).set(getattr(newest.pixels, state))
    blocks = Gauge("eelswatch_scan_blocks", "Blocks of the newest scan", ["fate"], registry=registry)
    for fate in ("received", "duplicate", "replaced", "stray"):
        blocks.labels(fate).set(getattr(newest.blocks, fate))
    _gauge(registry, "scan_wire_errors", "Messages refused of the newest scan", newest.wire_errors.total)
    _gauge(registry, "lag_rows", "Rows of the newest scan that wait for a score", newest.lag_rows)
    _gauge(registry, "late_rows", "Rows of the newest scan whose score came late", newest.late_rows)
    if newest.latency_ms.p50 is not None and newest.latency_ms.p99 is not None:
        latency = Gauge(
            "eelswatch_score_latency_seconds", "From a row's last block to its score", ["quantile"], registry=registry
        )
        latency.labels("0.5").set(newest.latency_ms.p50 / 1000)
        latency.labels("0.99").set(newest.latency_ms.p99 / 1000)


def _gauge(registry: CollectorRegistry, name: str, text: str, value: float) -> None:
    Gauge(f"eelswatch_{name}", text, registry=registry).set(value)
