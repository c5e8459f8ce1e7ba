"""Axes of a spectrum image: energy, scan grid, regions. Arrays are (row, column, energy), row before column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyAxis:
    """A uniform energy-loss axis. `offset_ev` is the centre of channel 0; `step_ev` may be negative, never 0."""

    offset_ev: float
    step_ev: float
    size: int

    def energies_ev(self) -> NDArray[np.float64]:
        """Channel centres in eV, shape (size,)."""
        return self.at(np.arange(self.size))

    @property
    def lo_ev(self) -> float:
        """Lowest channel edge in eV."""
        return min(self.offset_ev, self.offset_ev + self.step_ev * (self.size - 1)) - abs(self.step_ev) / 2

    @property
    def hi_ev(self) -> float:
        """Highest channel edge in eV."""
        return max(self.offset_ev, self.offset_ev + self.step_ev * (self.size - 1)) + abs(self.step_ev) / 2

    def at(self, index: FloatArray | NDArray[np.integer] | float) -> NDArray[np.float64]:
        """Energy in eV of a (fractional) channel index."""
        return self.offset_ev + self.step_ev * np.asarray(index, dtype=np.float64)

    def window(self, lo_ev: float, hi_ev: float) -> slice:
        """Channels whose centre lies in [lo_ev, hi_ev]; an empty slice where there is none."""
        inside = np.flatnonzero((self.energies_ev() >= lo_ev) & (self.energies_ev() <= hi_ev))
        return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)

    def cropped(self, channels: slice) -> EnergyAxis:
        """The axis of `counts[..., channels]`."""
        start, stop, _ = channels.indices(self.size)
        return EnergyAxis(offset_ev=float(self.at(start)), step_ev=self.step_ev, size=stop - start)

    def __str__(self) -> str:
        return f"{self.lo_ev:.1f}-{self.hi_ev:.1f} eV, {self.size} channels of {abs(self.step_ev):g} eV"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A half-open rectangle of pixels: rows row0..row1-1, columns col0..col1-1."""

    row0: int
    col0: int
    row1: int
    col1: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.row1 - self.row0, self.col1 - self.col0

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.row0, self.row1), slice(self.col0, self.col1)

    def as_list(self) -> list[int]:
        """[row0, col0, row1, col1], the order of the wire."""
        return [self.row0, self.col0, self.row1, self.col1]

    def expanded(self, margin: int, grid: ScanGrid) -> Region:
        """Grown by `margin` pixels on every side, cut at the grid's border."""
        return Region(
            row0=max(self.row0 - margin, 0),
            col0=max(self.col0 - margin, 0),
            row1=min(self.row1 + margin, grid.rows),
            col1=min(self.col1 + margin, grid.columns),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanGrid:
    """The pixels of a scan."""

    rows: int
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    @property
    def pixels(self) -> int:
        return self.rows * self.columns

    def holds(self, region: Region) -> bool:
        """True where `region` is not empty and lies inside the grid."""
        return 0 <= region.row0 < region.row1 <= self.rows and 0 <= region.col0 < region.col1 <= self.columns
