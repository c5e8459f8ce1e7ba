"""Which pixels of a scan are flagged as of now, and the regions they make."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.core.flagging import FlagRule, RunningFlags
from monitor.core.maps import LiveMaps
from monitor.core.model_card import Card
from monitor.core.regions import FlaggedRegion, find_regions
from monitor.core.scan_record import ScanRecord


class ScanFlags:
    """Rows are flagged as they came while the scan is open, then by all of it. What was worked out is kept until then.

    `provisional` (row,) is the scan's own: rows to be scored again.
    """

    def __init__(self, record: ScanRecord, maps: LiveMaps, provisional: NDArray[np.bool_], card: Card) -> None:
        self._record = record
        self._maps = maps
        self._provisional = provisional
        self._card = card
        self._running = RunningFlags(record.rule, record.started.grid, card.calibration)
        self.judge_anew()

    def judge_anew(self) -> None:
        """The scan has ended, or what follows from its maps no longer holds."""
        self._final: NDArray[np.float32] | None = None
        self._pixels: NDArray[np.bool_] | None = None
        self._regions: list[FlaggedRegion] | None = None

    def scored(self, rows: NDArray[np.int64]) -> None:
        """The maps have new scores in these rows."""
        early = self._provisional[rows]
        self._running.scored(rows[~early], self._maps.p_value)
        self._running.glimpsed(rows[early], self._maps.p_value)
        self.judge_anew()

    def change(self, rule: FlagRule) -> None:
        """Flag by another rule, which the record keeps."""
        self._record.rule = rule
        self._running.change(rule, self._maps.p_value)
        self._running.glimpsed(np.flatnonzero(self._provisional), self._maps.p_value)
        self.judge_anew()

    def thresholds(self) -> NDArray[np.float32]:
        """The p-value up to which each row flags, (row,)."""
        if self._record.state == "open":
            return self._running.thresholds()
        if self._final is None:
            grid, p_values = self._record.started.grid, self._maps.p_value
            threshold = self._record.rule.threshold(p_values, grid.pixels, self._card.calibration)
            self._final = np.full(grid.rows, threshold, np.float32)
        return self._final

    def pixels(self) -> NDArray[np.bool_]:
        """Flagged pixels, bool (row, column)."""
        if self._pixels is None:
            self._pixels = self._maps.flag(self.thresholds())
        return self._pixels

    def regions(self) -> list[FlaggedRegion]:
        """Regions of flagged pixels, the strongest first; a provisional flag makes none."""
        if self._regions is None:
            self._regions = find_regions(self._maps, self.pixels() & ~self._provisional[:, None], self._card)
        return self._regions
