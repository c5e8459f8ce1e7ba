"""How well spectra are rebuilt where noise dominates: measures that a copy of the noise does not fool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import poisson

FloatArray = NDArray[np.floating]
SMALLEST_EXPECTED = 1e-3
FLOOR_AT = np.geomspace(SMALLEST_EXPECTED, 200.0, 120)


def chi2_per_dof(counts: FloatArray, expected: FloatArray) -> float:
    """Pearson's chi-squared per channel of Poisson counts (..., energy); under 1 where the noise was followed."""
    safe = np.maximum(expected, SMALLEST_EXPECTED)
    return float(np.mean((counts - safe) ** 2 / safe))


def deviance(counts: FloatArray, expected: FloatArray) -> FloatArray:
    """Twice the log likelihood ratio of a perfect fit to `expected`, channel by channel."""
    safe = np.maximum(expected, SMALLEST_EXPECTED)
    return 2 * (xlogy(counts, counts / safe) - (counts - safe))


def deviance_floor(expected: FloatArray) -> FloatArray:
    """The deviance to expect of Poisson counts whose true expectation is `expected`: about 1, less under 1 count."""
    k = np.arange(600.0)
    weights = poisson.pmf(k, FLOOR_AT[:, None])
    table = (weights * deviance(k, FLOOR_AT[:, None])).sum(1)
    beyond = 1 + 1 / (6 * np.maximum(expected, 1.0))  # the first term of its series in 1 / expected
    return np.where(expected > FLOOR_AT[-1], beyond, np.interp(expected, FLOOR_AT, table))


def halves(counts: NDArray, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Counted electrons dealt to two halves at random: both Poisson, independent of each other."""
    whole = np.asarray(counts).astype(np.int64)
    one = rng.binomial(whole, 0.5)
    return one.astype(np.float32), (whole - one).astype(np.float32)


def excess(rebuilt: FloatArray, other: FloatArray, channels: slice) -> float:
    """What `rebuilt` from one half misses of the `other`: mean deviance in `channels` less that of the truth.

    Both (..., energy). Each spectrum is scaled to the other half's total, since the halves differ in it by chance.
    0 is a perfect expectation; the first half itself, noise and all, gives about 1.
    """
    total = np.maximum(rebuilt.sum(-1, keepdims=True), SMALLEST_EXPECTED)
    scaled = (rebuilt * (other.sum(-1, keepdims=True) / total))[..., channels]
    scaled = np.maximum(scaled, SMALLEST_EXPECTED)
    return float(np.mean(deviance(other[..., channels], scaled) - deviance_floor(scaled)))
