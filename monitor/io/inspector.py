"""A closer look at single pixels and regions: their spectra against what the model expects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.core.edges import nearest_edge
from monitor.core.regions import FlaggedRegion
from monitor.core.scan import Scan
from monitor.core.strips import Run
from monitor.core.views import PixelView, RegionView
from monitor.io.scorer import Scorer

LEAST_EXPECTED = 0.5


class Inspector:
    """Asks the model for expected spectra, a few rows at a time."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def regions(self, scan: Scan) -> list[RegionView]:
        """Regions of flagged pixels with what their pixels say together, the strongest first."""
        return [_region_view(scan, region) for region in scan.flags.regions()]

    def pixel(self, scan: Scan, row: int, column: int) -> PixelView:
        """One pixel of a scan; raises IndexError outside of it."""
        rows, columns = scan.started.shape
        if not (0 <= row < rows and 0 <= column < columns):
            raise IndexError(f"pixel ({row}, {column}) lies outside the scan of {rows} x {columns} pixels")
        card, maps = self._scorer.card, scan.maps
        counts, expected, why = self._spectra(scan, row, column)
        axis = card.energy if expected is not None else scan.started.energy
        sigma = None if expected is None else np.sqrt(card.noise.variance(np.maximum(expected, LEAST_EXPECTED)))
        z = None if counts is None or expected is None or sigma is None else (counts - expected) / sigma
        kind, at = int(maps.kind[row, column]), (row, column)
        span_ev = _number(maps.energy_lo_ev[at]), _number(maps.energy_hi_ev[at])
        peak_ev = _number(maps.energy_ev[at])
        return PixelView(
            row=row,
            column=column,
            energy_ev=axis.energies_ev().tolist(),
            counts=None if counts is None else counts.tolist(),
            expected=None if expected is None else expected.tolist(),
            residual_z=None if z is None else z.tolist(),
            score=_number(maps.score[at]),
            p_value=_number(maps.p_value[at]),
            flag=bool(scan.flags.pixels()[at]),
            energy_peak_ev=peak_ev,
            kind=scan.card.family(kind),
            evidence={} if z is None else {"largest_residual_z": float(z.max()), "smallest_residual_z": float(z.min())},
            why=why,
            label=scan.card.label(int(maps.label[at])),
            energy_span_ev=None if span_ev[0] is None or span_ev[1] is None else (span_ev[0], span_ev[1]),
            amount=_number(maps.amount[at]),
            amount_error=_number(maps.amount_error[at]),
            amount_unit=scan.card.unit(kind),
            edge=None if peak_ev is None else nearest_edge(peak_ev),
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
        strip = scan.strip(Run(row0=row, row1=row + 1, stop=row + 1))
        if strip is None:
            return raw, None, scan.record.why
        detail = self._scorer.detail(strip)
        return detail.counts[0, column].astype(np.float64), detail.expected[0, column].astype(np.float64), None


def _region_view(scan: Scan, region: FlaggedRegion) -> RegionView:
    box, amount = region.region, region.amount
    in_ev, in_counts = ((amount if amount is not None and amount.unit == unit else None) for unit in ("eV", "counts"))
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
        shift_ev=None if in_ev is None else in_ev.value,
        shift_error_ev=None if in_ev is None else in_ev.error,
        excess_counts=None if in_counts is None else in_counts.value,
        excess_error_counts=None if in_counts is None else in_counts.error,
    )


def _number(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None
