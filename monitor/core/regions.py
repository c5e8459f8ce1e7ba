"""Flagged pixels -> regions: connected, and merged when close; what their pixels say together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.core.axes import Region
from monitor.core.edges import nearest_edge
from monitor.core.maps import LiveMaps
from monitor.core.model_card import Card

NEIGHBOURS = np.ones((3, 3), np.bool_)
"""Flagged pixels grown by this and touching, so at most 3 apart in rows and in columns, are one region."""
CLOSE = 2
SAME_EVIDENCE_EV = 12.0
"""How far from the strongest pixel's energy another one may peak and still speak of the same change."""
OF_NINE = "3x3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much, and its standard error. `unit`: "eV" (positive: to higher energy) or "counts" (positive: too many)."""

    value: float
    error: float
    unit: str


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
    amount: Amount | None

    @property
    def id(self) -> str:
        """Names the region within its scan."""
        return "-".join(str(edge) for edge in self.region.as_list())

    @property
    def label(self) -> str:
        """The nearest edge and where the evidence peaks, for the operator."""
        edge = nearest_edge(self.energy_ev)
        return f"{edge}, {self.energy_ev:.1f} eV" if edge else f"{self.energy_ev:.1f} eV"


def find_regions(maps: LiveMaps, flagged: NDArray[np.bool_], card: Card) -> list[FlaggedRegion]:
    """Group flagged pixels (row, column) into regions, the strongest first; `card` is that of the maps' model."""
    labels = _numbered(flagged)
    found = [
        _describe(maps, labels[box] == number, (box[0], box[1]), card)
        for number, box in enumerate(ndimage.find_objects(labels), start=1)
    ]
    return sorted(found, key=lambda region: -region.score)


def _numbered(flagged: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The number of each flagged pixel's region, from 1 on; 0 elsewhere. Rows far from any flag cost nothing."""
    labels = np.zeros(flagged.shape, np.int32)
    near = np.convolve(flagged.any(1), np.ones(2 * CLOSE + 1), mode="same")[: len(flagged)] > 0
    if near.any():
        # two rows without a flag on either side of each run: it touches none of its neighbours in what is cut out
        numbers = ndimage.label(ndimage.binary_dilation(flagged[near], NEIGHBOURS), NEIGHBOURS)[0]
        labels[near] = np.where(flagged[near], numbers, 0)
    return labels


def _describe(maps: LiveMaps, inside: NDArray[np.bool_], box: tuple[slice, slice], card: Card) -> FlaggedRegion:
    rows, columns = box
    # where a pixel is labelled, energy and amount are those of the label (a spike), not of what is flagged
    plain = inside & (maps.label[box] == 0)
    speaking = plain if plain.any() else inside
    score = np.where(speaking, maps.score[box], -np.inf)
    row, column = (int(at) for at in np.unravel_index(int(np.argmax(score)), score.shape))
    energy_ev = float(maps.energy_ev[box][row, column])
    alike = speaking & (abs(maps.energy_ev[box] - energy_ev) <= SAME_EVIDENCE_EV)
    return FlaggedRegion(
        region=Region(row0=rows.start, col0=columns.start, row1=rows.stop, col1=columns.stop),
        pixels=int(np.count_nonzero(inside)),
        peak=(rows.start + row, columns.start + column),
        energy_ev=energy_ev,
        energy_span_ev=(
            float(np.quantile(maps.energy_lo_ev[box][alike], 0.1)),
            float(np.quantile(maps.energy_hi_ev[box][alike], 0.9)),
        ),
        score=float(score[row, column]),
        p_value=float(maps.p_value[box][inside].min()),
        amount=_amount(maps, alike, box, int(maps.kind[box][row, column]), card) if plain.any() else None,
    )


def _amount(maps: LiveMaps, alike: NDArray[np.bool_], box: tuple[slice, slice], kind: int, card: Card) -> Amount | None:
    """The precision-weighted mean of what pixels like the strongest one say; counts of its own family only.

    Windows of 3 x 3 pixels overlap and so are not independent: the error is that of the mean of the pixels they share.
    """
    unit = card.unit(kind)
    if unit is None:
        return None
    alike_kinds = [k for k in range(len(card.evidence)) if k == kind or (unit == "eV" and card.unit(k) == unit)]
    value, error = maps.amount[box].astype(np.float64), maps.amount_error[box].astype(np.float64)
    used = alike & np.isin(maps.kind[box], alike_kinds) & np.isfinite(value) & (error > 0)
    if not used.any():
        return None
    weight = np.zeros(used.shape)
    weight[used] = error[used] ** -2
    weight /= weight.sum()
    of_nine = np.isin(maps.kind[box], [k for k, name in enumerate(card.evidence) if name.endswith(OF_NINE)])
    alone, shared = np.pad(np.where(of_nine, 0.0, weight), 1), np.pad(np.where(of_nine, weight / 9, 0.0), 1)
    touched = alone + ndimage.convolve(shared, np.ones((3, 3)), mode="constant")
    overlap = float((touched**2).sum() / (weight**2 / np.where(of_nine, 9, 1)).sum())
    independent = float((weight[used] ** 2 * error[used] ** 2).sum())
    return Amount(
        value=float((weight[used] * value[used]).sum()), error=float(np.sqrt(independent * overlap)), unit=unit
    )
