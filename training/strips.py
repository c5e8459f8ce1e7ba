"""A map cut into strips of rows, each with the rows beside it that its scores depend on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

LEAST_ROWS, VALUES = 16, 2_500_000
"""What is looked at beside a strip is work done twice: of so many values in all (pixels times coarse channels) a map
of 96 x 96 pixels costs half of what it does in strips of the fewest rows."""


class Strip(NamedTuple):
    """`core`: rows of the map it is about; `halo`: rows to look at; `inner`: where the core lies among those."""

    core: slice
    halo: slice
    inner: slice


def strips(rows: int, reach: int, values: int) -> Iterator[Strip]:
    """Strips that cover `rows` rows of so many `values` each, seeing `reach` rows beyond their own."""
    height = max(VALUES // max(values, 1), LEAST_ROWS)
    for start in range(0, rows, height):
        stop, first = min(start + height, rows), max(start - reach, 0)
        yield Strip(slice(start, stop), slice(first, stop + reach), slice(start - first, stop - first))
