"""Detectors: from the electrons expected in each channel to the numbers a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

SIGMAS_OF_ROOM = 12.0
REFERENCE_SEED = 20  # a detector keeps its channels' gains from scan to scan
REFERENCE_WAVES = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """An electron detector.

    `gain` counts per electron; `spread` the share of an electron's signal seen by each neighbouring channel;
    `readout` the noise of reading one channel, in counts; `over_dispersion` the relative rms by which a channel's
    response flickers from one spectrum to the next; `reference` the relative spread of the channels' own gains, which
    the camera has already divided out: the mean is right, but a channel of low gain is noisier than its neighbours.
    """

    name: str
    gain: float = 1.0
    spread: float = 0.0
    readout: float = 0.0
    over_dispersion: float = 0.0
    reference: float = 0.0

    @property
    def counts_single_electrons(self) -> bool:
        """True where what comes out is a whole number of electrons."""
        return self == Camera(name=self.name)

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
        response = self.channel_gains(expected.shape[-1]) if self.reference > 0 else np.ones(1)
        electrons = rng.poisson(expected * response)
        if self.counts_single_electrons:
            return electrons
        counts = electrons * self.gain
        if self.spread > 0:
            counts = convolve1d(counts, (self.spread, 1 - 2 * self.spread, self.spread), axis=-1, mode="nearest")
        if self.over_dispersion > 0:
            counts *= rng.normal(1.0, self.over_dispersion, counts.shape)
        if self.readout > 0:
            counts += rng.normal(0.0, self.readout, counts.shape)
        return counts / response

    def channel_gains(self, channels: int) -> NDArray[np.float64]:
        """The gain of each channel (channel,) about 1: half of `reference` is smooth over the detector, half random."""
        waves = np.sin(2 * np.pi * REFERENCE_WAVES * np.arange(channels) / channels)
        random = np.random.default_rng(REFERENCE_SEED).standard_normal(channels)
        return 1 + self.reference * np.clip((np.sqrt(2) * waves + random) / np.sqrt(2), -3, 3)


CAMERAS: Mapping[str, Camera] = MappingProxyType(
    {
        "counted": Camera(name="counted"),
        "scintillator": Camera(name="scintillator", gain=3.0, spread=0.15, readout=6.0),
        "gain_corrected": Camera(name="gain_corrected", gain=3.0, spread=0.15, readout=6.0, reference=0.05),
    }
)
