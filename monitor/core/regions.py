"""Flagged pixels -> regions: connected, and merged when close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.core.axes import Region
from monitor.core.edges import nearest_edge
from monitor.core.maps import LiveMaps

NEIGHBOURS = np.ones((3, 3), np.bool_)
"""Flagged pixels grown by this and touching, so at most 3 apart in rows and in columns, are one region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlaggedRegion:
    """A cluster of flagged pixels; energies in eV, `peak` the (row, column) of the largest score."""

    region: Region
    pixels: int
    peak: tuple[int, int]
    energy_ev: float
    energy_span_ev: tuple[float, float]
    score: float
    p_value: float

    @property
    def id(self) -> str:
        """Names the region within its scan."""
        return "-".join(str(edge) for edge in self.region.as_list())

    @property
    def label(self) -> str:
        """The nearest edge and where the evidence peaks, for the operator."""
        edge = nearest_edge(self.energy_ev)
        return f"{edge}, {self.energy_ev:.1f} eV" if edge else f"{self.energy_ev:.1f} eV"


def find_regions(maps: LiveMaps, flagged: NDArray[np.bool_]) -> list[FlaggedRegion]:
    """Group flagged pixels (row, column) into regions, the strongest first."""
    labels = ndimage.label(ndimage.binary_dilation(flagged, NEIGHBOURS), NEIGHBOURS)[0]
    labels = np.where(flagged, labels, 0)
    found = [
        _describe(maps, labels[box] == number, (box[0], box[1]))
        for number, box in enumerate(ndimage.find_objects(labels), start=1)
    ]
    return sorted(found, key=lambda region: -region.score)


def _describe(maps: LiveMaps, inside: NDArray[np.bool_], box: tuple[slice, slice]) -> FlaggedRegion:
    rows, columns = box
    score = np.where(inside, maps.score[box], -np.inf)
    row, column = np.unravel_index(int(np.argmax(score)), score.shape)
    energies_ev = maps.energy_ev[box][inside]
    lo, hi = np.quantile(energies_ev, (0.1, 0.9))
    return FlaggedRegion(
        region=Region(row0=rows.start, col0=columns.start, row1=rows.stop, col1=columns.stop),
        pixels=int(np.count_nonzero(inside)),
        peak=(rows.start + int(row), columns.start + int(column)),
        energy_ev=float(maps.energy_ev[box][row, column]),
        energy_span_ev=(float(lo), float(hi)),
        score=float(score[row, column]),
        p_value=float(maps.p_value[box][inside].min()),
    )
