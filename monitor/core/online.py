"""False discovery control while p-values arrive in batches: Batch-BH.

Zrnic, Jiang, Ramdas and Jordan, "The Power of Batching in Multiple Hypothesis Testing", AISTATS 2020. Each batch is
tested by Benjamini-Hochberg at a level that earlier batches alone determine; after each of them the expected share of
false flags among all flags so far is at most the rate asked for, where p-values are independent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class BatchBH:
    """Tests up to `batches` batches, so that at most a share `fdr` of all flags so far is false, at every moment.

    The rate is spread evenly over the batches; what earlier batches have not used, and their discoveries, raise the
    level of the next one, never above `fdr` itself.
    """

    def __init__(self, fdr: float, *, batches: int) -> None:
        self._fdr = fdr
        self._share = fdr / batches
        self._tested = 0
        self._level, self._flags, self._most = np.zeros((3, batches))

    def test(self, p_values: NDArray[np.floating], *, spend: bool = True) -> float:
        """The p-value up to which this batch is flagged, 0.0 where nothing is; p-values that are NaN do not count.

        `spend` False only asks: later batches are tested as if it had not been.
        """
        p = np.sort(np.asarray(p_values, dtype=np.float64), axis=None)
        p = p[np.isfinite(p)]
        if p.size == 0:
            return 0.0
        level = min(self._left() * (p.size + self._flags.sum()) / p.size, self._fdr)
        bar = level * np.arange(1, p.size + 1) / p.size
        flags = _last(p <= bar)
        if not spend:
            return float(p[flags - 1]) if flags else 0.0
        self._level[self._tested] = level
        self._flags[self._tested] = flags
        # R+ of the paper: the most flags that one p-value turned to 0 could bring; the largest one brings them
        self._most[self._tested] = _last(np.concatenate(([0.0], p[:-1])) <= bar)
        self._tested += 1
        return float(p[flags - 1]) if flags else 0.0

    def _left(self) -> float:
        """What the batches so far leave of their shares and that of the next one."""
        level, flags, most = (values[: self._tested] for values in (self._level, self._flags, self._most))
        used = level * most / (most + flags.sum() - flags)
        return max(self._share * (self._tested + 1) - float(used.sum()), 0.0)


def _last(passed: NDArray[np.bool_]) -> int:
    """How many of the ascending p-values Benjamini-Hochberg takes: up to the last that passed."""
    return int(np.flatnonzero(passed)[-1]) + 1 if passed.any() else 0
