"""The stream benchmark: a sender and the real service on loopback; the sender and a page are part of the load."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.commands.bench_pace import Row
from monitor.commands.demo import free_port, served
from monitor.commands.page_listener import PageListener
from monitor.core.axes import EnergyAxis
from monitor.core.errors import EelswatchError
from monitor.core.model_card import Card
from monitor.core.wire import Frame
from monitor.sim.acquisition import acquire
from monitor.sim.publisher import ScanToSend, publish
from monitor.sim.scene import SCENES
from monitor.sim.sender import StreamSender

MOST_ROWS = 2048
"""Of one scan; what is longer is sent as several."""
CATCH_UP_S = 120.0
CLEAN_SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is streamed: scans of `columns` pixels a row, for `seconds` at each rate; `browser` opens the page."""

    rates_per_s: Sequence[float]
    columns: Sequence[int]
    seconds: float
    browser: Path | None = None


class TimedSender(StreamSender):
    """Notes when each block left, in s of the monotonic clock."""

    def __init__(self) -> None:
        super().__init__("tcp://127.0.0.1:*", resend="tcp://127.0.0.1:*")
        self.sent_s: list[float] = []

    def send(self, frames: Sequence[Frame]) -> None:
        """Send one message; those with counts are blocks."""
        if len(frames) > 1:
            self.sent_s.append(time.monotonic())
        super().send(frames)


def measure_stream(model: Path, device: str, card: Card, load: Load, folder: Path) -> list[Row]:
    """A row for each width and rate: what was lost, how late scores were and the page was, what the monitor took."""
    sender = TimedSender()
    with sender:
        options = ["--model", str(model), "--source", sender.endpoint, "--data", str(folder / "data")]
        options += ["--device", device, "--http", "127.0.0.1:0", "--rescan", f"tcp://127.0.0.1:{free_port()}"]
        with served(options, log=folder / "serve.log") as (_, url), _opened(load.browser, url, folder):
            sender.wait_for_monitor(10.0)
            with PageListener(url) as page:
                return [
                    _measured(card, sender, page, url, columns, rate, load.seconds)
                    for columns in load.columns
                    for rate in load.rates_per_s
                ]


def _measured(
    card: Card, sender: TimedSender, page: PageListener, url: str, columns: int, rate: float, seconds: float
) -> Row:
    wanted = max(1, round(rate * seconds / columns))
    counts = _clean_rows(card.energy, min(wanted, MOST_ROWS), columns)
    views: list[dict] = []
    late_s: list[float] = []
    cpu_s, begun_s = _metric(url, "process_cpu_seconds_total"), time.monotonic()
    sending_s = 0.0
    for part, first in enumerate(range(0, wanted, MOST_ROWS)):
        scan = f"bench-{card.energy.size}-{columns}-{rate:.0f}-{part}"
        to_send = ScanToSend(scan=scan, counts=counts[: wanted - first], energy=card.energy, title="benchmark")
        sender.sent_s.clear()
        part_s = time.monotonic()
        for _ in publish(sender, to_send, rate_spectra_per_s=rate):
            pass
        sending_s += time.monotonic() - part_s
        views.append(_closed(url, scan, sender))
        late_s += page.delays_s(scan, sender.sent_s, halo=card.halo[0])
    taken_s = time.monotonic() - begun_s
    p50_s, p99_s = np.quantile(late_s, (0.5, 0.99)) if late_s else (np.nan, np.nan)
    return {
        "channels": card.energy.size,
        "columns": columns,
        "asked_per_s": rate,
        "sent_per_s": wanted * columns / sending_s,
        **{what: sum(view["pixels"][what] for view in views) for what in ("received", "scored", "missing")},
        "p50_ms": max(view["latency_ms"]["p50"] for view in views),
        "p99_ms": max(view["latency_ms"]["p99"] for view in views),
        "page_p50_ms": 1000 * float(p50_s),
        "page_p99_ms": 1000 * float(p99_s),
        "cores": (_metric(url, "process_cpu_seconds_total") - cpu_s) / taken_s,
        "memory_mib": _metric(url, "process_resident_memory_bytes") / 2**20,
    }


def _clean_rows(energy: EnergyAxis, rows: int, columns: int) -> NDArray[np.uint16]:
    """Rows of a clean specimen, again and again."""
    scene = replace(SCENES["demo"].without_anomalies(), energy=energy)
    counts = acquire(scene, CLEAN_SEED).image.counts.clip(0, 65535).astype(np.uint16)
    return np.take(np.take(counts, np.arange(columns) % scene.columns, axis=1), np.arange(rows) % scene.rows, axis=0)


def _closed(url: str, scan: str, sender: StreamSender) -> dict:
    deadline_s = time.monotonic() + CATCH_UP_S
    while time.monotonic() < deadline_s:
        sender.answer_until(time.monotonic() + 0.2)
        view = json.loads(_get(f"{url}api/scans/{scan}"))
        if view["state"] != "open":
            return view
    raise EelswatchError(f"scan {scan} was not scored within {CATCH_UP_S:g} s of its end; use a lower rate")


def _metric(url: str, name: str) -> float:
    """A figure of the monitor's own; NaN where its platform does not give it."""
    lines = _get(f"{url}metrics").decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), float("nan"))


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310  # our own loopback page
        return answer.read()


@contextmanager
def _opened(browser: Path | None, url: str, folder: Path) -> Iterator[None]:
    """The page in a Chromium without a window, where one is given."""
    if browser is None:
        yield
        return
    options = ["--headless", f"--user-data-dir={folder / 'browser'}", "--window-size=1600,1000"]
    options += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    options += ["--remote-debugging-port=0"]  # without it a headless one prints the page and ends
    process = subprocess.Popen([str(browser), *options, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(3.0)  # it takes a while to start, and that is no part of the stream
        if process.poll() is not None:
            raise EelswatchError(f"the browser {browser} ended with code {process.returncode}; give a Chromium")
        yield
    finally:
        process.terminate()
        process.wait()
