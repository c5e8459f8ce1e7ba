"""Detector noise, estimated from the counts of a map themselves.

Real noise is not Poisson: gain and point spread make the variance differ from the mean and tie neighbouring channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.noise_fit import NoiseFit, fit_noise

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseEstimate:
    """Variance of one channel = `floor` + `gain` x mean + `over_dispersion` x mean^2, all in counts.

    `correlation` is that of the noise at lags of 1, 2, ... channels, at the dose of the map; the first of them is
    `channel_correlation`. A term that the map cannot tell from `gain` is 0 and `gain` holds it. `components`: how many
    spectral shapes had to be taken out before only noise was left.
    """

    gain: float
    channel_correlation: float
    components: int
    correlation: tuple[float, ...] = ()
    floor: float = 0.0
    over_dispersion: float = 0.0

    @staticmethod
    def of(fit: NoiseFit) -> NoiseEstimate:
        """The same in plain numbers."""
        return NoiseEstimate(
            gain=fit.gain,
            channel_correlation=float(fit.correlation[0]),
            components=fit.components,
            correlation=tuple(float(rho) for rho in fit.correlation),
            floor=fit.floor,
            over_dispersion=fit.over_dispersion,
        )

    def variance(self, mean: FloatArray | float) -> FloatArray:
        """Of a channel in which `mean` counts are expected, in counts^2; an array of the shape of `mean`."""
        mean = np.maximum(np.asarray(mean, dtype=np.float64), 0.0)
        return self.floor + self.gain * mean + self.over_dispersion * mean**2


def estimate_noise(counts: NDArray[np.generic]) -> NoiseEstimate:
    """The noise of a map (row, column, energy) of counts; what is smooth or repeats over the map is not noise.

    Spectral shapes are learned from one half of the pixels and taken out of the other, so that no noise is fitted away;
    what is left is set against the mean over channels and over pixels of like brightness. Pixels and channels that hold
    no finite positive counts, spikes, noisy channels and pixels unlike all others are left out. Raises DataError where
    fewer than four spectra or three channels remain.
    """
    return NoiseEstimate.of(fit_noise(counts))
