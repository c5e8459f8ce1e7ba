"""A closer look at single pixels and regions: their spectra against what the model expects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.core.maps import NO_KIND
from monitor.core.regions import FlaggedRegion
from monitor.core.scan import Scan
from monitor.core.shifts import Shift, fit_shift
from monitor.core.views import PixelView, RegionView
from monitor.io.scorer import Scorer

SHIFTS_SHOWN = 16
"""Regions of a scan, strongest first, whose shift is fitted: more than anyone reads."""
SHIFT_ROWS = 16
SHIFTS_KEPT = 256
SAME_EVIDENCE_EV = 12.0
LEAST_EXPECTED = 0.5


class Inspector:
    """Asks the model for expected spectra, a few rows at a time."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._shifts: dict[tuple[str, str], tuple[int, Shift | None]] = {}

    def regions(self, scan: Scan) -> list[RegionView]:
        """Regions of flagged pixels with their shift where one is seen, the strongest first."""
        return [
            self._region_view(scan, region, self._shift(scan, region) if rank < SHIFTS_SHOWN else None)
            for rank, region in enumerate(scan.regions())
        ]

    def pixel(self, scan: Scan, row: int, column: int) -> PixelView:
        """One pixel of a scan; raises IndexError outside of it."""
        rows, columns = scan.started.shape
        if not (0 <= row < rows and 0 <= column < columns):
            raise IndexError(f"pixel ({row}, {column}) lies outside the scan of {rows} x {columns} pixels")
        card, maps = self._scorer.card, scan.maps
        counts, expected, why = self._spectra(scan, row, column)
        axis = card.energy if expected is not None else scan.started.energy
        sigma = None if expected is None else np.sqrt(card.noise.gain * np.maximum(expected, LEAST_EXPECTED))
        z = None if counts is None or expected is None or sigma is None else (counts - expected) / sigma
        kind = int(maps.kind[row, column])
        return PixelView(
            row=row,
            column=column,
            energy_ev=axis.energies_ev().tolist(),
            counts=None if counts is None else counts.tolist(),
            expected=None if expected is None else expected.tolist(),
            residual_z=None if z is None else z.tolist(),
            score=_number(maps.score[row, column]),
            p_value=_number(maps.p_value[row, column]),
            flag=bool(maps.p_value[row, column] <= scan.threshold()),
            energy_peak_ev=_number(maps.energy_ev[row, column]),
            kind=card.evidence[kind] if NO_KIND < kind < len(card.evidence) else None,
            evidence={} if z is None else {"largest_residual_z": float(z.max()), "smallest_residual_z": float(z.min())},
            why=why,
        )

    def _spectra(
        self, scan: Scan, row: int, column: int
    ) -> tuple[NDArray[np.floating] | None, NDArray[np.floating] | None, str | None]:
        arrays = scan.assembly.arrays
        if arrays.pixel_seq[row, column] == 0:
            return None, None, "this pixel has not arrived"
        raw = np.asarray(arrays.counts[row, column], np.float64)
        if scan.record.model_sha256 != self._scorer.card.sha256:
            return raw, None, "this scan was scored by another model"
        strip = scan.strip(row, row + 1)
        if strip is None:
            return raw, None, scan.record.why
        detail = self._scorer.detail(strip)
        return detail.counts[0, column].astype(np.float64), detail.expected[0, column].astype(np.float64), None

    def _shift(self, scan: Scan, region: FlaggedRegion) -> Shift | None:
        rows = region.region.slices[0]
        state, key = int(scan.row_version[rows].max()), (scan.id, region.id)
        known = self._shifts.get(key)
        if known is None or known[0] != state:
            known = state, self._fit_shift(scan, region)
            if len(self._shifts) >= SHIFTS_KEPT:
                self._shifts.clear()
            self._shifts[key] = known
        return known[1]

    def _fit_shift(self, scan: Scan, region: FlaggedRegion) -> Shift | None:
        row0 = max(region.region.row0, region.peak[0] - SHIFT_ROWS // 2)
        row1 = min(region.region.row1, row0 + SHIFT_ROWS)
        strip = scan.strip(row0, row1)
        if strip is None or scan.record.model_sha256 != self._scorer.card.sha256:
            return None
        columns = region.region.slices[1]
        box = slice(row0, row1), columns
        alike = abs(scan.maps.energy_ev[box] - region.energy_ev) <= SAME_EVIDENCE_EV
        chosen = (scan.maps.p_value[box] <= scan.threshold()) & alike
        detail = self._scorer.detail(strip)
        return fit_shift(
            detail.counts[:, columns][chosen].sum(0),
            detail.expected[:, columns][chosen].sum(0),
            axis=self._scorer.card.energy,
            near_ev=region.energy_ev,
            noise_gain=self._scorer.card.noise.gain,
        )

    def _region_view(self, scan: Scan, region: FlaggedRegion, shift: Shift | None) -> RegionView:
        box = region.region
        return RegionView(
            id=region.id,
            scan=scan.id,
            region=(box.row0, box.col0, box.row1, box.col1),
            pixels=region.pixels,
            energy_ev=region.energy_ev,
            energy_span_ev=region.energy_span_ev,
            label=region.label,
            score=region.score,
            p_value=region.p_value,
            shift_ev=None if shift is None else shift.shift_ev,
            shift_error_ev=None if shift is None else shift.error_ev,
        )


def _number(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None
