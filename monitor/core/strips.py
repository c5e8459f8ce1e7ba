"""Rows ready to score: when a row's neighbourhood is complete, and the strip of counts that its scores need.

A score reads its whole row and `halo` rows on either side, so the unit of work is a run of full rows with its halo.
Missing pixels are NaN in a strip; the graph treats them like the outside of the map. So it treats rows that are still
to come, which gives the newest rows a provisional score at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.resampling import Resampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A copy of the rows around [row0, stop); the first `above` rows are halo.

    Scores of [row0, row1) are final, those of [row1, stop) provisional: rows of their neighbourhood are still to come.
    Strips of a scan are numbered in the order in which they were cut; those of a whole map need no number.
    `raw` (row, column, channel) are counts as recorded, `received` (row, column) is False where a pixel is missing.
    """

    number: int
    row0: int
    row1: int
    stop: int
    above: int
    raw: NDArray[Any]
    received: NDArray[np.bool_]
    resample: Resampler

    @property
    def core(self) -> slice:
        """The rows of the strip that are row0..stop-1."""
        return slice(self.above, self.above + self.stop - self.row0)

    @property
    def halo(self) -> tuple[int, int]:
        """Rows above and below the core, which get no scores."""
        return self.above, len(self.raw) - self.core.stop

    def parts(self, rows: int, halo: int) -> Iterator[Strip]:
        """The same rows in strips of about `rows` each, in order; the last one has all that are provisional."""
        for row0 in range(self.row0, max(self.row1, self.row0 + 1), rows):
            row1 = min(row0 + rows, self.row1)
            stop = self.stop if row1 == self.row1 else row1
            first = max(self.above + row0 - self.row0 - halo, 0)
            last = self.above + max(row1 + halo, stop) - self.row0
            yield replace(
                self,
                row0=row0,
                row1=row1,
                stop=stop,
                above=self.above + row0 - self.row0 - first,
                raw=self.raw[first:last],
                received=self.received[first:last],
            )

    def counts(self, first: int = 0) -> NDArray[np.float32]:
        """What the graph takes, (row, column, energy) on the model's axis, from the row `first` of the strip on.

        Computed anew, off the thread that cuts.
        """
        counts = self.resample(self.raw[first:])
        counts[~self.received[first:]] = np.nan
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Rows [row0, row1) to score for good, and those after them, up to `stop`, to score provisionally."""

    row0: int
    row1: int
    stop: int
    number: int = 0


def cut_strip(
    counts: NDArray[Any], received: NDArray[np.generic], run: Run, *, halo: int, resample: Resampler
) -> Strip:
    """Copy the rows of `run` and their halo out of a map; `received` (row, column) is 0 for a missing pixel."""
    first, last = max(run.row0 - halo, 0), min(max(run.row1 + halo, run.stop), counts.shape[0])
    return Strip(
        number=run.number,
        row0=run.row0,
        row1=run.row1,
        stop=run.stop,
        above=run.row0 - first,
        raw=np.array(counts[first:last]),
        received=np.array(received[first:last], np.bool_),
        resample=resample,
    )


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
