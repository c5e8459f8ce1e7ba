"""What the graph made of the rows above a strip, kept so that none of it is computed twice.

Law: a handover is a function of the counts it was made from and is taken for those counts alone, so that a strip scores
the same, to the last bit, with one and without.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.strips import Strip


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """`tensors` of the graph, by name, for a strip that begins with these rows: its halo above and as many more."""

    raw: NDArray[Any]
    received: NDArray[np.bool_]
    resample: object
    tensors: dict[str, NDArray[Any]]

    def fits(self, strip: Strip) -> bool:
        """True where it was made from what `strip` begins with."""
        rows = len(self.raw)
        return (
            2 * strip.above == rows <= len(strip.raw)
            and strip.resample is self.resample
            and np.array_equal(strip.received[:rows], self.received)
            and np.array_equal(_bytes(strip.raw[:rows]), _bytes(self.raw))  # a NaN equals itself
        )


class Handovers:
    """Of the latest strips of so many `chains`; threads may share them."""

    def __init__(self, chains: int) -> None:
        self._most = chains
        self._kept: list[Handover] = []
        self._lock = threading.Lock()

    def take(self, strip: Strip) -> Handover | None:
        """The one that fits `strip`; it makes room for what the strip itself leaves."""
        with self._lock:
            fitting = next((each for each in reversed(self._kept) if each.fits(strip)), None)
            self._kept = [each for each in self._kept if each is not fitting]
            return fitting

    def keep(self, handover: Handover) -> None:
        """In place of the oldest where there are as many as chains."""
        with self._lock:
            self._kept = [*self._kept, handover][-self._most :]


def left_by(strip: Strip, halo: int) -> slice | None:
    """The rows of `strip` with which the strip below its final rows will begin; None where it has not all of them."""
    if strip.row1 == strip.row0:
        return None
    below = strip.above + strip.row1 - strip.row0
    return slice(below - halo, below + halo) if halo <= below <= len(strip.raw) - halo else None


def _bytes(counts: NDArray[Any]) -> NDArray[np.uint8]:
    return counts.view(np.uint8)
