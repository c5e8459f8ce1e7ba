"""Stand-ins for tests: a card without a model, a shelf without a disk."""

import numpy as np

from monitor.core.assembly import ScanArrays
from monitor.core.axes import EnergyAxis
from monitor.core.calibration import Calibration, Tail
from monitor.core.flagging import FlagRule
from monitor.core.maps import Scores
from monitor.core.model_card import WHOLE_ROW, Card, Noise, Training
from monitor.core.scan import Scan
from monitor.core.scan_record import ScanRecord

AXIS = EnergyAxis(offset_ev=420.0, step_ev=10.0, size=40)


def a_card(energy=AXIS, halo_rows=1):
    return Card(
        created="2026-01-01T00:00:00Z",
        title="test",
        energy=energy,
        halo=(halo_rows, WHOLE_ROW),
        evidence=["intensity", "shift", "shift 3x3", "spike"],
        labels=["", "spike", "vacuum", "saturated"],
        evidence_units=["counts", "eV", "eV", "counts"],
        calibration=Calibration(
            pixels=10_000,
            counts_per_pixel=(1.0, 1e9),
            knots_score=[0.0, 3.0],
            knots_p=[1.0, 0.1],
            tail=Tail(threshold=3.0, p_at_threshold=0.1, shape=0.0, scale=0.5),
        ),
        noise=Noise(gain=1.0, channel_correlation=0.0),
        training=Training(inputs=[], config={}, seed=0, versions={}, losses={}),
        parity=0.0,
        sha256="0" * 64,
    )


def fake_scores(strip):
    """A score that is plain to check: a pixel's counts and those above and below it, as the halo has them."""
    counts = strip.counts()
    total = np.nansum(np.where(np.isnan(counts).any(-1, keepdims=True), np.nan, counts), axis=-1)
    padded = np.pad(total, ((1, 1), (0, 0)))
    score = (padded[:-2] + padded[2:] + 2 * total) / 12000
    score = np.where(np.isnan(counts).any(-1), np.nan, score)[strip.core].astype(np.float32)
    return some_scores(score)


def some_scores(score, **outputs):
    """Scores of an earlier model, but for the outputs given by name."""
    nothing = np.zeros(score.shape, np.int64)
    return Scores.of({"score": score, "energy_index": nothing, "kind": nothing} | outputs)


class MemoryShelf:
    """A shelf that forgets when the process does."""

    def __init__(self, card=None, rule=None):
        self.card = card if card is not None else a_card()
        self.rule = rule if rule is not None else FlagRule(fdr=0.05)
        self.scans = {}
        self.saved = []

    def create(self, started):
        arrays = ScanArrays.empty(started)
        record = ScanRecord(started=started, fdr=self.rule.fdr, false_flags=self.rule.false_flags)
        self.scans[started.scan] = Scan(record=record, arrays=arrays, card=self.card)
        return self.scans[started.scan]

    def reopened(self):
        """The open scans, each made anew from its record and its arrays."""
        for scan in [scan for scan in self.scans.values() if scan.open]:
            again = Scan(record=scan.to_record(), arrays=scan.assembly.arrays, card=self.card)
            self.scans[scan.id] = again
            yield again

    def find(self, scan):
        return self.scans.get(scan)

    def save(self, scan):
        self.saved.append(scan.id)
