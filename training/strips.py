"""A map cut into strips of rows, each with the rows beside it that its scores depend on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

STRIP_ROWS = 16


class Strip(NamedTuple):
    """`core`: rows of the map it is about; `halo`: rows to look at; `inner`: where the core lies among those."""

    core: slice
    halo: slice
    inner: slice


def strips(rows: int, reach: int, height: int = STRIP_ROWS) -> Iterator[Strip]:
    """Strips that cover `rows` rows, each seeing `reach` rows beyond its own."""
    for start in range(0, rows, height):
        stop, first = min(start + height, rows), max(start - reach, 0)
        yield Strip(slice(start, stop), slice(first, stop + reach), slice(start - first, stop - first))
