"""A live view that tests can drive: scans grow row by row, rescans move, and /api answers as the service does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import msgspec
import numpy as np

from monitor.core.axes import EnergyAxis
from monitor.core.flagging import FlagRule
from monitor.core.live_view import LAYERS, MapRows
from monitor.core.views import (
    BlockCounts,
    HealthView,
    Latency,
    ParentView,
    PixelCounts,
    Reason,
    RegionView,
    RescanView,
    ScanView,
    Step,
    WireErrorCounts,
)
from tests.doubles import a_card

ENERGY = EnergyAxis(offset_ev=650.0, step_ev=0.5, size=240)
EDGE_EV = 708.0
LABELS = ["", "spike", "vacuum", "saturated"]


@dataclass
class FakeScan:
    """A scan whose truth is known from the start and shown row by row; `spot` is where it is strange."""

    scan: str
    shape: tuple[int, int]
    title: str = ""
    parent: ParentView | None = None
    spot: tuple[int, int, int, int] | None = None
    seed: int = 0
    state: str = "open"
    labels: dict[tuple[int, int], int] = field(default_factory=dict)
    drift_ev: float = 0.0
    why: str | None = None
    row_version: np.ndarray = field(init=False)
    shown: dict[str, np.ndarray] = field(init=False)
    truth: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        p = rng.uniform(1e-3, 1.0, self.shape)
        rows, columns = np.mgrid[0 : self.shape[0], 0 : self.shape[1]]
        total = 9e4 + 3e4 * np.tanh((columns - 0.45 * self.shape[1]) / 4) + 4e3 * np.sin(rows / 7)
        if self.spot is not None:
            row0, col0, row1, col1 = self.spot
            down = (rows - (row0 + row1 - 1) / 2) / max(row1 - row0, 1)
            across = (columns - (col0 + col1 - 1) / 2) / max(col1 - col0, 1)
            radius = np.hypot(down, across)
            strength = np.where(radius <= 0.5, 9.5 * (1 - radius), 0)
            p = np.where(strength > 0, 10.0**-strength, p)
        self.truth = {
            "score": -1.2 * np.log10(p),
            "p_value": p,
            "total": rng.poisson(total).astype(float),
            "energy_ev": np.where(p < 1e-3, EDGE_EV, rng.uniform(ENERGY.lo_ev, ENERGY.hi_ev, self.shape)),
        }
        self.truth["label"] = np.zeros(self.shape)
        for pixel, label in self.labels.items():
            self.truth["label"][pixel] = label
            self.truth["p_value"][pixel] = 1.0
        self.shown = {name: np.full(self.shape, np.nan, dtype=np.float32) for name in LAYERS}
        self.drifts_ev = np.full(self.shape[0], np.nan, dtype=np.float32)
        self.provisional = np.zeros(self.shape[0], np.bool_)
        self.row_version = np.full(self.shape[0], -1)

    def spectrum(self, row, column):
        energy = ENERGY.energies_ev()

        def model(edge_ev):
            white_line = 700 * np.exp(-(((energy - edge_ev - 2) / 2.2) ** 2))
            return 900 * (energy / 650) ** -3 + 260 / (1 + np.exp(-(energy - edge_ev) / 1.2)) + white_line

        expected = model(EDGE_EV)
        moved = self.truth["p_value"][row, column] < 1e-3
        counts = np.random.default_rng(row * 1000 + column).poisson(model(EDGE_EV - 1.2) if moved else expected)
        return counts, expected


class FakeLive:
    """Implements LiveView. Every change makes the version grow by one."""

    def __init__(self):
        self._version = 0
        self._scans: dict[str, FakeScan] = {}
        self._rescans: dict[str, RescanView] = {}
        self.rule = FlagRule(fdr=0.01)
        self.status = "ok"
        self.notices: list[str] = []
        self.instrument = "Nion Swift"
        self.calls = 0

    # what tests do to it

    def changed(self):
        self._version += 1

    def start(self, scan: FakeScan):
        self._scans[scan.scan] = scan
        self.changed()

    def reveal(self, scan: str, rows, *, scored=True, missing=()):
        """Rows arrive; `missing` are columns that never do."""
        held = self._scans[scan]
        self.changed()
        for row in rows:
            for name in LAYERS if scored else ("total",):
                held.shown[name][row] = held.truth[name][row]
                held.shown[name][row, list(missing)] = np.nan
            held.row_version[row] = self._version
            if scored:
                held.drifts_ev[row] = held.drift_ev * np.sin(row)

    def end(self, scan: str, state="complete"):
        self._scans[scan].state = state
        self.changed()

    def propose(self, rescan: str, scan: str, region, *, label="Fe L3, 708 eV", seconds=120.0):
        self._rescans[rescan] = RescanView(
            id=rescan,
            scan=scan,
            region=region,
            state="proposed",
            child_scan=None,
            dwell_factor=4.0,
            reason=Reason(energy_ev=708.0, energy_span_ev=(706.0, 712.0), label=label, score=9.1, p_value=3e-8),
            expires_ns=time.time_ns() + int(seconds * 1e9),
            history=[Step(state="proposed", t_ns=time.time_ns(), who="monitor", message="")],
        )
        self.changed()

    def move(self, rescan: str, state: str, *, who="operator", message="", child_scan=None):
        old = self._rescans[rescan]
        step = Step(state=state, t_ns=time.time_ns(), who=who, message=message)
        self._rescans[rescan] = msgspec.structs.replace(
            old, state=state, child_scan=child_scan or old.child_scan, history=[*old.history, step]
        )
        self.changed()

    def scan_of(self, scan: str) -> FakeScan:
        return self._scans[scan]

    def rescan_of(self, rescan: str) -> RescanView:
        return self._rescans[rescan]

    def p_threshold(self, scan: str) -> float:
        shown = self._scans[scan].shown["p_value"]
        return self.rule.threshold(shown, shown.size, a_card().calibration)

    # LiveView

    def version(self) -> int:
        self.calls += 1
        return self._version

    def health(self) -> HealthView:
        return HealthView(
            status=self.status,
            notices=self.notices,
            version="0.1.0",
            model="bfo.onnx",
            source="tcp://camera-pc:5555",
            provider="CPU",
            instrument=self.instrument,
            data_age_s=0.3,
            rate_spectra_per_s=7912.0,
            fdr=self.rule.fdr,
            false_flags=self.rule.false_flags,
            wire_errors=WireErrorCounts(total=1, kinds={"not_json": 1}),
            stray=2,
        )

    def scans(self) -> list[ScanView]:
        return [self._view(scan) for scan in reversed(self._scans.values())]

    def _view(self, scan: FakeScan) -> ScanView:
        received = int(np.isfinite(scan.shown["total"]).sum())
        scored = int(np.isfinite(scan.shown["p_value"]).sum())
        flagged = int((scan.shown["p_value"] <= self.p_threshold(scan.scan)).sum())
        rows = int((scan.row_version >= 0).sum())
        size = scan.shape[0] * scan.shape[1] if scan.state != "open" else rows * scan.shape[1]
        return ScanView(
            scan=scan.scan,
            title=scan.title,
            state=scan.state,
            shape=scan.shape,
            parent=scan.parent,
            energy=ENERGY,
            pixels=PixelCounts(received=received, scored=scored, missing=size - received, flagged=flagged),
            blocks=BlockCounts(received=rows, duplicate=3, replaced=1, stray=0),
            wire_errors=WireErrorCounts(total=2, kinds={"payload_length": 1, "seq": 1}),
            latency_ms=Latency(p50=11.2, p99=38.0) if scored else Latency(p50=None, p99=None),
            lag_rows=0,
            why=scan.why,
            labels={name: int((scan.shown["label"] == n).sum()) for n, name in enumerate(LABELS) if name},
            fdr=self.rule.fdr,
            false_flags=self.rule.false_flags,
        )

    def regions(self, scan: str) -> list[RegionView]:
        held = self._scans.get(scan)
        if held is None or held.spot is None:
            return []
        flagged = held.shown["p_value"] <= self.p_threshold(scan)
        row0, col0, row1, col1 = held.spot
        inside = flagged[row0:row1, col0:col1]
        if not inside.any():
            return []
        rows, columns = np.nonzero(inside)
        return [
            RegionView(
                id=f"{scan}-r0",
                scan=scan,
                region=(
                    row0 + int(rows.min()),
                    col0 + int(columns.min()),
                    row0 + int(rows.max()) + 1,
                    col0 + int(columns.max()) + 1,
                ),
                pixels=int(inside.sum()),
                energy_ev=708.0,
                energy_span_ev=(706.0, 712.0),
                label="Fe L3, 708 eV",
                score=9.1,
                p_value=3e-8,
                shift_ev=-1.2,
                shift_error_ev=0.2,
            )
        ]

    def rescans(self) -> list[RescanView]:
        return list(self._rescans.values())

    def map_rows(self, scan: str, since: int) -> MapRows | None:
        held = self._scans.get(scan)
        if held is None:
            return None
        rows = np.arange(held.shape[0]) if since < 0 else np.flatnonzero(held.row_version > since)
        return MapRows(
            version=self._version,
            shape=held.shape,
            rows=rows,
            layers={name: held.shown[name][rows].copy() for name in LAYERS},
            drift_ev=held.drifts_ev[rows],
            provisional=held.provisional[rows],
            p_threshold=np.full(held.shape[0], self.p_threshold(scan), np.float32),
        )
