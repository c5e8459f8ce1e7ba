"""How long the rows of a scan waited for their scores."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from monitor.core.views import Latency

KEPT = 4096
LATE_MS = 1000.0
"""A row whose score comes later than this after it could be scored is counted as late."""


class Latencies:
    """Of the last rows that were scored; `before` is what the scan's record says where none was."""

    def __init__(self, before: Latency) -> None:
        self._before = before
        self._last_ms: deque[float] = deque(maxlen=KEPT)

    def add(self, latencies_ms: NDArray[np.float64]) -> int:
        """Take those of further rows; gives how many of them came late."""
        self._last_ms.extend(latencies_ms)
        return int(np.count_nonzero(latencies_ms > LATE_MS))

    def view(self) -> Latency:
        """Their quantiles."""
        if not self._last_ms:
            return self._before
        p50, p99 = np.quantile(self._last_ms, (0.5, 0.99))
        return Latency(p50=float(p50), p99=float(p99))
