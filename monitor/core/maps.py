"""The maps of one scan: what the scoring graph says of every pixel, and p-values of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis, ScanGrid
from monitor.core.calibration import Calibration

NO_KIND = -1
ROW_MAPS = ("drift_ev",)
"""Maps of one value a row; all others have one a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What the scoring graph says of some rows: arrays (row, column) but for `drift_ev` (row,).

    score float32; energy_index, kind, label int64; span int64 (row, column, 2), first and last channel of the evidence;
    amount float32 (row, column, 2), value and standard error in the unit of its kind; drift_ev float32.
    """

    score: NDArray[np.float32]
    energy_index: NDArray[np.int64]
    kind: NDArray[np.int64]
    label: NDArray[np.int64]
    span: NDArray[np.int64]
    amount: NDArray[np.float32]
    drift_ev: NDArray[np.float32]

    @classmethod
    def of(cls, outputs: Mapping[str, NDArray[Any]]) -> Scores:
        """Scores of a graph's outputs by name; what an earlier model does not give is filled in."""
        score, index = outputs["score"], outputs["energy_index"]
        filled: dict[str, NDArray[Any]] = {
            "label": np.zeros(index.shape, np.int64),
            "span": np.repeat(index[..., None], 2, axis=-1),
            "amount": np.full((*score.shape, 2), np.nan, np.float32),
            "drift": np.full(score.shape[0], np.nan, np.float32),
        }
        given = filled | dict(outputs)
        return cls(
            score=score,
            energy_index=index,
            kind=outputs["kind"],
            label=given["label"],
            span=given["span"],
            amount=given["amount"],
            drift_ev=given["drift"],
        )

    def of_rows(self, chosen: NDArray[np.bool_]) -> Scores:
        """Those of the `chosen` (row,)."""
        return Scores(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMaps:
    """Arrays (row, column), `drift_ev` (row,); NaN, kind -1 and label 0 where a pixel is missing or not scored.

    `amount` and its standard error are in eV or counts, by the kind of the evidence (see the card).
    """

    score: NDArray[np.float32]
    p_value: NDArray[np.float32]
    energy_ev: NDArray[np.float32]
    energy_lo_ev: NDArray[np.float32]
    energy_hi_ev: NDArray[np.float32]
    kind: NDArray[np.int64]
    label: NDArray[np.uint8]
    amount: NDArray[np.float32]
    amount_error: NDArray[np.float32]
    drift_ev: NDArray[np.float32]

    @classmethod
    def empty(cls, grid: ScanGrid) -> LiveMaps:
        """Maps of a scan of which nothing is scored yet."""

        def nan() -> NDArray[np.float32]:
            return np.full(grid.shape, np.nan, np.float32)

        return cls(
            score=nan(),
            p_value=nan(),
            energy_ev=nan(),
            energy_lo_ev=nan(),
            energy_hi_ev=nan(),
            kind=np.full(grid.shape, NO_KIND, np.int64),
            label=np.zeros(grid.shape, np.uint8),
            amount=nan(),
            amount_error=nan(),
            drift_ev=np.full(grid.rows, np.nan, np.float32),
        )

    def put(
        self, rows: NDArray[np.integer] | slice, scores: Scores, calibration: Calibration, energy: EnergyAxis
    ) -> None:
        """Write the scores of `rows`; `energy` is the model's axis."""
        known = np.isfinite(scores.score)
        ends_ev = np.sort(energy.at(scores.span), axis=-1)  # the axis may run downwards
        self.score[rows] = np.where(known, scores.score, np.nan)
        self.p_value[rows] = calibration.p_values(self.score[rows])
        self.energy_ev[rows] = np.where(known, energy.at(scores.energy_index), np.nan)
        self.energy_lo_ev[rows] = np.where(known, ends_ev[..., 0], np.nan)
        self.energy_hi_ev[rows] = np.where(known, ends_ev[..., 1], np.nan)
        self.kind[rows] = np.where(known, scores.kind, NO_KIND)
        self.label[rows] = np.where(known, scores.label, 0)
        self.amount[rows] = np.where(known, scores.amount[..., 0], np.nan)
        self.amount_error[rows] = np.where(known, scores.amount[..., 1], np.nan)
        self.drift_ev[rows] = np.where(known.any(1), scores.drift_ev, np.nan)

    def scored_per_row(self, rows: NDArray[np.integer] | slice) -> NDArray[np.int64]:
        """How many pixels of each of `rows` have a score."""
        return np.count_nonzero(np.isfinite(self.score[rows]), axis=1)

    def flag(self, thresholds: float | NDArray[np.float32]) -> NDArray[np.bool_]:
        """Pixels with a p-value up to the threshold, one for all or one a row; no missing and no labelled pixel."""
        return (self.p_value <= np.asarray(thresholds, np.float32).reshape(-1, 1)) & (self.label == 0)

    def labelled(self, names: list[str]) -> dict[str, int]:
        """How many pixels bear each label, by its name; a name that is empty says nothing and is left out."""
        return {name: int(np.count_nonzero(self.label == n)) for n, name in enumerate(names) if name}

    def results(self, flag: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """The arrays of a result file (interface, section 6) by name; `flag` is bool (row, column)."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"flag": flag}
