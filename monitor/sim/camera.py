"""Detectors: from the electrons expected in each channel to the numbers a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

SIGMAS_OF_ROOM = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """An electron detector.

    `gain` counts per electron; `spread` the share of an electron's signal seen by each neighbouring channel;
    `readout` the noise of reading one channel, in counts.
    """

    name: str
    gain: float = 1.0
    spread: float = 0.0
    readout: float = 0.0

    @property
    def counts_single_electrons(self) -> bool:
        """True where what comes out is a whole number of electrons."""
        return self.gain == 1.0 and self.spread == 0.0 and self.readout == 0.0

    @property
    def variance_over_mean(self) -> float:
        """The shot noise of a flat, bright spectrum, in counts (1 for a counting camera)."""
        centre = 1 - 2 * self.spread
        return self.gain * (centre**2 + 2 * self.spread**2)

    @property
    def channel_correlation(self) -> float:
        """The correlation of the shot noise in neighbouring channels."""
        centre = 1 - 2 * self.spread
        return 2 * self.spread * centre / (centre**2 + 2 * self.spread**2)

    def dtype_for(self, largest_expected: float) -> np.dtype:
        """The type that holds an expectation of `largest_expected` electrons and its noise."""
        if not self.counts_single_electrons:
            return np.dtype("<f4")
        highest = largest_expected + SIGMAS_OF_ROOM * np.sqrt(largest_expected + 1)
        fitting = (name for name in ("<u2", "<u4") if highest <= np.iinfo(name).max)
        return np.dtype(next(fitting, "<f4"))

    def record(self, expected: NDArray[np.floating], rng: np.random.Generator) -> NDArray:
        """Noisy counts for the electrons `expected` (..., energy); same shape. Dark-subtracted: may be negative."""
        electrons = rng.poisson(expected)
        if self.counts_single_electrons:
            return electrons
        counts = electrons * self.gain
        if self.spread > 0:
            counts = convolve1d(counts, (self.spread, 1 - 2 * self.spread, self.spread), axis=-1, mode="nearest")
        if self.readout > 0:
            counts += rng.normal(0.0, self.readout, counts.shape)
        return counts


CAMERAS: Mapping[str, Camera] = MappingProxyType(
    {
        "counted": Camera(name="counted"),
        "scintillator": Camera(name="scintillator", gain=3.0, spread=0.15, readout=6.0),
    }
)
