"""Defects put into a specimen on purpose, with a mask that says where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

TRIES_PER_DISC = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomalies:
    """What is wrong with some pixels of the film; of the substrate, where `edge` is Ti L.

    kind "shift": the edge `edge` lies `shift_ev` higher or lower, at random; "intruder": Cr has taken the place of the
    share `strength` of the film's metal; "oxygen": the share `strength` of the film's oxygen is missing.
    They fill `discs` discs of radius `radius_px` (smallest, largest) or the share `pixel_share` of the pixels there.
    """

    kind: Literal["shift", "intruder", "oxygen"]
    edge: Literal["Fe L", "Mn L", "Ti L"] = "Fe L"
    shift_ev: float = 2.4
    strength: float = 0.25
    discs: int = 0
    radius_px: tuple[int, int] = (1, 3)
    pixel_share: float = 0.0

    @property
    def in_substrate(self) -> bool:
        """True where it is the substrate that holds the defects."""
        return self.kind == "shift" and self.edge == "Ti L"


def place(anomalies: Anomalies, film: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
    """Where the defects lie in the `film` (row, column): 0 nothing, +1 or -1 the direction of a shift.

    Discs lie whole in the film and do not touch; where the film is too small, fewer are placed.
    """
    sign = np.zeros(film.shape, dtype=np.int8)
    if anomalies.pixel_share > 0:
        rows, columns = np.nonzero(film)
        chosen = rng.choice(rows.size, size=round(anomalies.pixel_share * rows.size), replace=False)
        sign[rows[chosen], columns[chosen]] = rng.choice([-1, 1], size=chosen.size)
    free = film
    for number in range(anomalies.discs):
        disc = _disc_in(free, int(rng.integers(*anomalies.radius_px, endpoint=True)), rng)
        if disc is None:
            break
        sign[disc] = 1 if number % 2 == 0 else -1
        free = free & np.logical_not(binary_dilation(disc, iterations=3))
    return sign


def _disc_in(free: NDArray[np.bool_], radius: int, rng: np.random.Generator) -> NDArray[np.bool_] | None:
    """A disc of `free` pixels somewhere at random, or None where none was found."""
    rows, columns = np.ogrid[: free.shape[0], : free.shape[1]]
    inside = np.zeros_like(free)
    inside[radius : free.shape[0] - radius, radius : free.shape[1] - radius] = True
    centres = np.argwhere(free & inside)
    for row, column in rng.permutation(centres)[:TRIES_PER_DISC]:
        disc = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        if free[disc].all():
            return disc
    return None
