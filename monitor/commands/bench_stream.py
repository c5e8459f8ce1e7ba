"""The stream benchmark: a sender and the real service on loopback, sender included in the load."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import numpy as np

from monitor.commands.demo import free_port, served
from monitor.core.axes import EnergyAxis
from monitor.core.errors import EelswatchError
from monitor.sim.publisher import ScanToSend, publish
from monitor.sim.sender import StreamSender

COLUMNS = 128
RATES_PER_S = (2000.0, 4000.0, 8000.0, 16000.0)
CATCH_UP_S = 120.0
Row = dict[str, float | int | str]


def measure_stream(model: Path, energy: EnergyAxis, seconds: float, folder: Path) -> list[Row]:
    """One scan of `seconds` at each rate; a row says what was lost, how late scores were, and how long it caught up."""
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    with StreamSender("tcp://127.0.0.1:*", resend="tcp://127.0.0.1:*") as sender:
        options = ["--model", str(model), "--source", sender.endpoint, "--data", str(folder / "data")]
        options += ["--http", "127.0.0.1:0", "--rescan", f"tcp://127.0.0.1:{free_port()}"]
        with served(options, log=folder / "serve.log") as (_, url):
            sender.wait_for_monitor(10.0)
            for rate in RATES_PER_S:
                scan_rows = max(1, round(rate * seconds / COLUMNS))
                # distinct enough to score, small enough to draw in a moment: one noisy row repeated
                counts = np.repeat(rng.poisson(400.0, (1, COLUMNS, energy.size)).astype(np.uint16), scan_rows, axis=0)
                scan = ScanToSend(scan=f"bench-{rate:.0f}", counts=counts, energy=energy, title="benchmark")
                begun_s = time.perf_counter()
                for _ in publish(sender, scan, rate_spectra_per_s=rate):
                    pass
                sent_s = time.perf_counter() - begun_s
                rows.append(_row(_closed(url, scan.scan, sender), rate, counts.shape[0] * COLUMNS / sent_s))
    return rows


def _closed(url: str, scan: str, sender: StreamSender) -> dict:
    deadline_s = time.monotonic() + CATCH_UP_S
    while time.monotonic() < deadline_s:
        sender.answer_until(time.monotonic() + 0.2)
        with urllib.request.urlopen(f"{url}api/scans/{scan}", timeout=10) as answer:  # noqa: S310  # our own loopback page
            view = json.load(answer)
        if view["state"] != "open":
            return view
    raise EelswatchError(f"scan {scan} was not scored within {CATCH_UP_S:g} s of its end; use a lower rate")


def _row(view: dict, rate: float, sent_per_s: float) -> Row:
    return {
        "asked_per_s": rate,
        "sent_per_s": sent_per_s,
        "channels": view["energy"]["size"],
        "received": view["pixels"]["received"],
        "scored": view["pixels"]["scored"],
        "missing": view["pixels"]["missing"],
        "p50_ms": view["latency_ms"]["p50"],
        "p99_ms": view["latency_ms"]["p99"],
    }
