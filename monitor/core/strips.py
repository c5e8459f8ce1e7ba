"""Rows ready to score: when a row's neighbourhood is complete, and the strip of counts that its scores need.

A score reads its whole row and `halo` rows on either side, so the unit of work is a run of full rows with its halo.
Missing pixels are NaN in a strip; the graph treats them like the outside of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.resampling import Resampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A copy of the rows around [row0, row1); the first `above` rows are halo.

    `raw` (row, column, channel) are counts as recorded, `received` (row, column) is False where a pixel is missing.
    """

    row0: int
    row1: int
    above: int
    raw: NDArray[Any]
    received: NDArray[np.bool_]
    resample: Resampler

    @property
    def core(self) -> slice:
        """The rows of the strip that are row0..row1-1."""
        return slice(self.above, self.above + self.row1 - self.row0)

    def counts(self) -> NDArray[np.float32]:
        """What the graph takes, (row, column, energy) on the model's axis; computed anew, off the thread that cuts."""
        counts = self.resample(self.raw)
        counts[~self.received] = np.nan
        return counts


def cut_strip(
    counts: NDArray[Any], received: NDArray[np.bool_], row0: int, row1: int, *, halo: int, resample: Resampler
) -> Strip:
    """Copy rows [row0, row1) and their halo out of a map; `received` (row, column) is False for a missing pixel."""
    first, last = max(row0 - halo, 0), min(row1 + halo, counts.shape[0])
    return Strip(
        row0=row0,
        row1=row1,
        above=row0 - first,
        raw=np.array(counts[first:last]),
        received=np.array(received[first:last]),
        resample=resample,
    )


class StripPlanner:
    """Which rows of one scan wait for a score."""

    def __init__(self, rows: int, halo: int) -> None:
        self._halo = halo
        self._dirty = np.zeros(rows, np.bool_)
        self._ready_ns = np.zeros(rows, np.int64)
        self._complete = np.zeros(rows, np.bool_)
        self._in_flight = 0
        self._final = False

    @property
    def lag_rows(self) -> int:
        """Rows that could be scored and are not."""
        return int(np.count_nonzero(self._ready())) + self._in_flight

    @property
    def idle(self) -> bool:
        """True when no row waits for a score or for its neighbours."""
        return not self._dirty.any() and self._in_flight == 0

    def touch(self, row0: int, row1: int, complete: NDArray[np.bool_], *, now_ns: int) -> None:
        """Counts of rows [row0, row1) changed; `complete` (rows,) tells which rows have all their pixels."""
        self._dirty[max(row0 - self._halo, 0) : row1 + self._halo] = True
        self._complete = complete
        self._stamp(now_ns)

    def finish(self, *, now_ns: int) -> None:
        """No more counts will come: what is incomplete is scored as it is."""
        self._final = True
        self._stamp(now_ns)

    def take(self, max_rows: int) -> tuple[int, int] | None:
        """The next run of rows [row0, row1) to score, at most `max_rows`; None where nothing is ready."""
        ready = self._ready()
        if not ready.any():
            return None
        row0 = int(np.argmax(ready))
        stop = min(row0 + max_rows, ready.size)
        blocked = np.flatnonzero(~ready[row0:stop])
        row1 = row0 + int(blocked[0]) if blocked.size else stop
        self._dirty[row0:row1] = False
        self._in_flight += row1 - row0
        return row0, row1

    def done(self, row0: int, row1: int, *, now_ns: int) -> NDArray[np.float64]:
        """Rows [row0, row1) are scored; gives the latency in ms of each, counted from when it became ready."""
        self._in_flight -= row1 - row0
        stamped = self._ready_ns[row0:row1]
        latency_ms = (now_ns - stamped[stamped > 0]) / 1e6
        stamped[~self._dirty[row0:row1]] = 0
        return latency_ms

    def _ready(self) -> NDArray[np.bool_]:
        if self._final:
            return self._dirty.copy()
        # a row is ready when none of the rows within its halo is incomplete: differences of a running sum
        holes = np.concatenate(([0], np.cumsum(~self._complete)))
        rows = np.arange(self._dirty.size)
        last = np.minimum(rows + self._halo + 1, rows.size)
        return self._dirty & (holes[last] == holes[np.maximum(rows - self._halo, 0)])

    def _stamp(self, now_ns: int) -> None:
        self._ready_ns[self._ready() & (self._ready_ns == 0)] = now_ns
