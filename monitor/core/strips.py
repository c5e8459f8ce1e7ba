"""Runs of rows, and the strip of counts that their scores need.

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
