"""The two ways to say how many flags may be false, and the flags of one scan while it runs and after it.

While rows arrive they are judged as they come, by a rule that holds at every moment (`online`). Once the scan has ended
its whole map is judged at once: flags of a finished scan depend on its maps alone, never on the order of arrival.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import ScanGrid
from monitor.core.calibration import Calibration, discovery_threshold
from monitor.core.errors import UsageError
from monitor.core.online import BatchBH

DEFAULT_FDR = 0.01
LARGEST_P = 0.5
"""No rule flags beyond this p-value: a pixel that is merely labelled has p = 1."""


class FlagRule(msgspec.Struct, frozen=True, kw_only=True):
    """Either `fdr`, the share of the flags that may be false, or `false_flags`, how many a clean scan has about."""

    fdr: float | None = None
    false_flags: float | None = None

    def __post_init__(self) -> None:
        if (self.fdr is None) == (self.false_flags is None):
            raise UsageError("fdr and false_flags are two ways to set one threshold; give one of them")
        if self.fdr is not None and not 0 < self.fdr < 1:
            raise UsageError(f"fdr {self.fdr:g}; wanted above 0 and below 1, for example 0.01")
        if self.false_flags is not None and not 0 < self.false_flags < math.inf:
            raise UsageError(f"false_flags {self.false_flags:g}; wanted a number above 0, for example 1")

    @classmethod
    def asked(cls, *, fdr: float | None, false_flags: float | None) -> FlagRule:
        """The rule of two options, a false discovery rate of 1 % without; raises UsageError where both are given."""
        if fdr is None and false_flags is None:
            return cls(fdr=DEFAULT_FDR)
        return cls(fdr=fdr, false_flags=false_flags)

    def threshold(self, p_values: NDArray[np.floating], pixels: int, calibration: Calibration) -> float:
        """The p-value of `calibration` up to which a finished map of `pixels` pixels is flagged; 0.0 flags none."""
        if (fdr := self.fdr) is None:
            assert self.false_flags is not None
            return min(self.false_flags / pixels, LARGEST_P)
        return _threshold_of(p_values, calibration, lambda raised: discovery_threshold(raised, fdr))

    def __str__(self) -> str:
        if self.fdr is not None:
            return f"a false discovery rate of {self.fdr:g}"
        return f"about {self.false_flags:g} false flag{'' if self.false_flags == 1 else 's'} per scan"


class RunningFlags:
    """Thresholds of the rows of one open scan: each row keeps the one that it got with its first final score."""

    def __init__(self, rule: FlagRule, grid: ScanGrid, calibration: Calibration) -> None:
        self._grid = grid
        self._calibration = calibration
        self._order: list[int] = []
        self._begin(rule)

    def scored(self, rows: Iterable[int], p_values: NDArray[np.floating]) -> None:
        """`rows` of the map `p_values` (row, column) are scored; those that were not before are judged now."""
        for row in rows:
            if not self._judged[row] and np.isfinite(p_values[row]).any():
                self._judged[row] = True
                self._order.append(row)
                self._thresholds[row] = self._threshold(p_values[row])

    def glimpsed(self, rows: Iterable[int], p_values: NDArray[np.floating]) -> None:
        """`rows` of the map are scored provisionally: judged each as if it were the next, which uses up nothing."""
        for row in rows:
            if not self._judged[row]:
                self._thresholds[row] = self._threshold(p_values[row], spend=False)

    def change(self, rule: FlagRule, p_values: NDArray[np.floating]) -> None:
        """Another rule: rows of the map (row, column) are judged anew in the order in which they came."""
        self._begin(rule)
        for row in self._order:
            self._judged[row] = True
            self._thresholds[row] = self._threshold(p_values[row])

    def thresholds(self) -> NDArray[np.float32]:
        """The p-value up to which each row flags, (row,); 0 where nothing has been judged yet."""
        return self._thresholds

    def _begin(self, rule: FlagRule) -> None:
        self._rule = rule
        self._online = None if rule.fdr is None else BatchBH(rule.fdr, batches=self._grid.rows)
        self._judged = np.zeros(self._grid.rows, np.bool_)
        self._thresholds = np.zeros(self._grid.rows, np.float32)

    def _threshold(self, p_values: NDArray[np.floating], *, spend: bool = True) -> float:
        if (online := self._online) is None:
            return self._rule.threshold(p_values, self._grid.pixels, self._calibration)
        return _threshold_of(p_values, self._calibration, lambda raised: online.test(raised, spend=spend))


def _threshold_of(
    p_values: NDArray[np.floating], calibration: Calibration, test: Callable[[NDArray[np.float64]], float]
) -> float:
    """The largest p-value that `test` flags; it sees each raised by how uncertain the calibration is."""
    raised = calibration.raised(p_values)
    return float(p_values[raised <= min(test(raised), LARGEST_P)].max(initial=0.0))
