"""Noise made to a model: a map as a lower dose would have given it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from monitor.core.errors import ConfigError
from monitor.core.noise import NoiseEstimate

FloatArray = NDArray[np.float64]

NEARLY = 0.05
"""A gain this near 1, and correlations this near 0, are those of a camera that counts single electrons."""
REACH = 8
FREQUENCIES = 256


def counts_electrons(noise: NoiseEstimate) -> bool:
    """True where the noise is that of single electrons, each seen in one channel (over-dispersion set aside)."""
    tied = max((abs(rho) for rho in _correlation(noise)), default=0.0)
    return abs(noise.gain - 1) <= NEARLY and tied <= NEARLY and noise.floor == 0


def thinned(
    counts: NDArray[np.generic], share: float, noise: NoiseEstimate, rng: np.random.Generator
) -> NDArray[np.generic]:
    """The counts (..., energy) that a `share` of the dose, above 0 and at most 1, would have given under `noise`.

    Whole counts of a camera that counts single electrons are thinned exactly and keep their type. Others are scaled,
    and get the noise that the model has beyond what scaling leaves: 32-bit floats, NaN where the counts are not finite.
    Raises ConfigError for another share.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"a share {share:g} of the dose was asked for; wanted above 0 and at most 1")
    if counts_electrons(noise) and counts.dtype.kind in "ui" and counts.min(initial=0) >= 0:
        return rng.binomial(counts.astype(np.int64), share).astype(counts.dtype)
    seen = np.where(np.isfinite(counts), counts, np.nan).astype(np.float64)
    # Scaling makes floor + gain x mean + c^2 x mean^2 smaller by share^2; the last term is then already right.
    shot = np.sqrt(noise.gain * share * (1 - share) * np.maximum(seen, 0.0))
    drawn = share * seen + shot * _tied(rng.standard_normal(seen.shape), noise, _shot_share(seen, noise))
    if noise.floor > 0:
        drawn += np.sqrt(noise.floor * (1 - share**2)) * rng.standard_normal(seen.shape)
    return drawn.astype(np.float32)


def _shot_share(counts: NDArray[np.float64], noise: NoiseEstimate) -> float:
    """Share of the variance that is shot noise, over counts (..., energy) as bright as those the model is of."""
    mean = float(np.nanmean(counts)) if np.isfinite(counts).any() else 0.0
    shot = noise.gain * max(mean, 0.0)
    total = shot + noise.floor + noise.over_dispersion * mean**2
    return shot / total if shot > 0 else 1.0


def _tied(white: FloatArray, noise: NoiseEstimate, share: float) -> FloatArray:
    """Independent noise (..., energy) given the model's correlation over channels, its variance unchanged.

    The correlation was read off all noise, but light that spreads ties the shot noise alone, a `share` of the variance.
    """
    correlation = [float(np.clip(rho / share, -0.5, 0.5)) for rho in _correlation(noise)]
    if not any(correlation):
        return white
    phase = np.pi * np.arange(FREQUENCIES + 1) / FREQUENCIES
    power = 1 + 2 * sum(rho * np.cos((lag + 1) * phase) for lag, rho in enumerate(correlation))
    # A moving average without a shift, whose response is the root of the noise's power spectrum.
    ringing = np.fft.irfft(np.sqrt(np.maximum(power, 0.0)))
    kernel = np.concatenate([ringing[-REACH:], ringing[: REACH + 1]])
    return convolve1d(white, kernel / np.linalg.norm(kernel), axis=-1, mode="wrap")


def _correlation(noise: NoiseEstimate) -> tuple[float, ...]:
    return noise.correlation or (noise.channel_correlation,)
