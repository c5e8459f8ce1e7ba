"""The maps of one scan: score, p-value, energy and kind of the evidence, total counts, and what of them is flagged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis, ScanGrid
from monitor.core.calibration import Calibration, discovery_threshold

NO_KIND = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What the scoring graph says of some rows: score float32, energy_index int64, kind int64, each (row, column)."""

    score: NDArray[np.float32]
    energy_index: NDArray[np.int64]
    kind: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMaps:
    """Arrays (row, column); NaN, and kind -1, where a pixel is missing or not scored."""

    score: NDArray[np.float32]
    p_value: NDArray[np.float32]
    energy_ev: NDArray[np.float32]
    kind: NDArray[np.int64]

    @classmethod
    def empty(cls, grid: ScanGrid) -> LiveMaps:
        """Maps of a scan of which nothing is scored yet."""
        nan = np.full(grid.shape, np.nan, np.float32)
        return cls(score=nan, p_value=nan.copy(), energy_ev=nan.copy(), kind=np.full(grid.shape, NO_KIND, np.int64))

    def put(self, row0: int, scores: Scores, calibration: Calibration, energy: EnergyAxis) -> None:
        """Write the scores of the rows from `row0` on; `energy` is the model's axis."""
        rows = slice(row0, row0 + scores.score.shape[0])
        known = np.isfinite(scores.score)
        self.score[rows] = np.where(known, scores.score, np.nan)
        self.p_value[rows] = calibration.p_values(self.score[rows])
        self.energy_ev[rows] = np.where(known, energy.at(scores.energy_index), np.nan)
        self.kind[rows] = np.where(known, scores.kind, NO_KIND)

    @property
    def scored_pixels(self) -> int:
        return int(np.count_nonzero(np.isfinite(self.score)))

    def threshold(self, fdr: float) -> float:
        """The largest p-value flagged at this false discovery rate; 0.0 where none is."""
        return discovery_threshold(self.p_value, fdr)

    def flag(self, fdr: float) -> NDArray[np.bool_]:
        """Flagged pixels, bool (row, column); a missing pixel never is."""
        return self.p_value <= self.threshold(fdr)

    def results(self, fdr: float) -> dict[str, NDArray[Any]]:
        """The arrays of a result file (interface, section 6) by name."""
        return {
            "score": self.score,
            "p_value": self.p_value,
            "flag": self.flag(fdr),
            "energy_ev": self.energy_ev,
            "kind": self.kind,
        }
