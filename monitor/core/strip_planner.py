"""Rows ready to score: when a row's neighbourhood is complete."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.core.strips import Run


class StripPlanner:
    """Which rows of one scan wait for a score.

    Final scores go first. Where all that are due are taken and none had to wait, rows that are complete and have had no
    score yet get a provisional one: a machine that hardly keeps up gives none.
    """

    def __init__(self, rows: int, halo: int) -> None:
        self._halo = halo
        self._dirty = np.zeros(rows, np.bool_)
        self._unseen = np.zeros(rows, np.bool_)
        self._ready_ns = np.zeros(rows, np.int64)
        self._complete = np.zeros(rows, np.bool_)
        self._given_up = np.zeros(rows, np.bool_)
        self._in_flight = 0
        self._taken = 0
        self._under_way = 0
        self._behind = False
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
        self._unseen[row0:row1] = True
        self._complete = complete
        self._stamp(now_ns)

    def give_up(self, rows: NDArray[np.bool_], *, now_ns: int) -> None:
        """What is missing in these `rows` (rows,) is not waited for: their neighbourhood is scored without it."""
        self._given_up |= rows
        self._stamp(now_ns)

    def finish(self, *, now_ns: int) -> None:
        """No more counts will come: what is incomplete is scored as it is."""
        self._final = True
        self._stamp(now_ns)

    def take(self, max_rows: int, *, in_turn: bool = False) -> Run | None:
        """The next rows to score, at most `max_rows` for good; None where there are none.

        `in_turn`: rows cost less below a strip that is done, so few of them wait for the one under way.
        """
        ready, early = self._ready(), self._dirty & self._complete & self._unseen
        if self._under_way or self._behind:
            early[:] = False
        if not ready.any() and not early.any():
            return None
        row0 = int(np.argmax(ready if ready.any() else early))
        worth = max(max_rows, 2 * self._halo)
        if in_turn and self._under_way and _end_of_run(ready, row0, worth) - row0 < min(worth, ready.size):
            return None
        row1 = _end_of_run(ready, row0, max_rows)
        stop = row1
        if not ready[row1:].any():
            ahead = slice(row1, _end_of_run(self._dirty & self._complete, row1, max_rows))
            stop += int(np.max(np.flatnonzero(early[ahead]), initial=-1)) + 1
        self._dirty[row0:row1] = False
        self._unseen[row0:stop] = False
        self._in_flight += row1 - row0
        self._taken += 1
        self._under_way += 1
        return Run(row0=row0, row1=row1, stop=stop, number=self._taken)

    def done(self, row0: int, row1: int, *, now_ns: int) -> NDArray[np.float64]:
        """Rows [row0, row1) are scored; gives the latency in ms of each, counted from when it became ready."""
        self._in_flight -= row1 - row0
        self._under_way -= 1
        self._behind = bool(self._ready().any())
        stamped = self._ready_ns[row0:row1]
        latency_ms = (now_ns - stamped[stamped > 0]) / 1e6
        stamped[~self._dirty[row0:row1]] = 0
        return latency_ms

    def _ready(self) -> NDArray[np.bool_]:
        if self._final:
            return self._dirty.copy()
        # a row is ready when none of the rows within its halo is incomplete: differences of a running sum
        holes = np.concatenate(([0], np.cumsum(~(self._complete | self._given_up))))
        rows = np.arange(self._dirty.size)
        last = np.minimum(rows + self._halo + 1, rows.size)
        return self._dirty & (holes[last] == holes[np.maximum(rows - self._halo, 0)])

    def _stamp(self, now_ns: int) -> None:
        self._ready_ns[self._ready() & (self._ready_ns == 0)] = now_ns


def _end_of_run(rows: NDArray[np.bool_], row0: int, longest: int) -> int:
    """Where the run of True from `row0` on ends, at most `longest` further."""
    run = rows[row0 : row0 + longest]
    return row0 + (run.size if run.all() else int(np.argmin(run)))
