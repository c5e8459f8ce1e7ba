"""Variance against mean: a floor, a gain and an over-dispersion, each only where the data can tell it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

ROUNDS = 4
BLOCKS = 12
SURE = 4.0
"""A term besides the gain must be this many times its error."""
FAR = 4.0
"""A channel this many robust standard deviations from the fit has no say in it."""
LEAST_SPREAD = 1e-6
LEAST_SHARE = 1e-6
"""No cell is so dark that its variance is expected to be less than this share of the largest."""
GAIN = 1
"""Place of the gain among the terms: floor, gain, over-dispersion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Measured `variance` and `mean` of groups of pixels (group, channel) in counts, from `pixels` (group, channel)."""

    variance: FloatArray
    mean: FloatArray
    pixels: FloatArray

    @property
    def powers(self) -> FloatArray:
        """1, mean and mean^2 (term, group, channel)."""
        mean = np.maximum(self.mean, 0.0)
        return np.stack([np.ones_like(mean), mean, mean**2])


def fit_terms(cells: Cells) -> tuple[FloatArray, FloatArray]:
    """Floor, gain and over-dispersion (3,), 0 where they cannot be told; measured over fitted variance (channel,).

    Weighted least squares; errors are those of a jackknife over blocks of channels, so that gains which differ
    smoothly over the detector are not taken for a term.
    """
    terms, ratio = _fit(cells, (GAIN,))
    used: tuple[int, ...] = (GAIN,)
    while len(used) < cells.powers.shape[0]:
        tried = [(*used, term) for term in range(cells.powers.shape[0]) if term not in used]
        fits = [_fit(cells, trial) for trial in tried]
        surest = [_surety(cells, trial, fit[0]) for trial, fit in zip(tried, fits, strict=True)]
        best = int(np.argmax(surest))
        if surest[best] < SURE:
            break
        used, (terms, ratio) = tried[best], fits[best]
    return terms, ratio


def _fit(cells: Cells, used: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    mean = np.maximum(cells.mean, 0.0)
    gain = float((cells.pixels * cells.variance).sum() / max(float((cells.pixels * mean).sum()), 1e-300))
    terms = np.array([0.0, gain, 0.0])
    ratio = np.ones(mean.shape[1])
    for _ in range(ROUNDS):
        normal, right, ratio = _equations(cells, terms)
        terms = _solved(normal.sum(axis=0), right.sum(axis=0), used)
    return terms, ratio


def _surety(cells: Cells, used: tuple[int, ...], terms: FloatArray) -> float:
    """How many of its errors the last of the terms is."""
    if terms[GAIN] <= 0 or terms[used[-1]] <= 0:
        return 0.0
    normal, right, _ = _equations(cells, terms)
    channels = normal.shape[0]
    count = min(BLOCKS, channels)
    blocks = [slice(b * channels // count, (b + 1) * channels // count) for b in range(count)]
    without = [
        _solved(normal.sum(axis=0) - normal[block].sum(axis=0), right.sum(axis=0) - right[block].sum(axis=0), used)[
            used[-1]
        ]
        for block in blocks
    ]
    error = np.sqrt((len(blocks) - 1) * float(np.var(without)))
    return float(terms[used[-1]] / error) if error > 0 else 0.0


def _equations(cells: Cells, terms: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Normal matrices (channel, 3, 3), right sides (channel, 3), and measured over fitted variance (channel,)."""
    powers = cells.powers
    fitted = np.tensordot(terms, powers, 1)
    fitted = np.maximum(fitted, max(LEAST_SHARE * float(fitted.max()), 1e-300))
    # The square of a count of few electrons scatters more than that of a Gaussian.
    fourth = 2 + terms[GAIN] ** 2 * powers[1] / fitted * terms[GAIN] / fitted
    weight = cells.pixels / fourth
    ratio = (weight * cells.variance / fitted).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-300)
    middle = float(np.median(ratio))
    spread = max(1.4826 * float(np.median(np.abs(ratio - middle))), LEAST_SPREAD)
    weight = np.where(np.abs(ratio - middle) <= FAR * spread, weight, 0.0) / fitted**2
    normal = np.einsum("agc,bgc,gc->cab", powers, powers, weight)
    right = np.einsum("agc,gc,gc->ca", powers, cells.variance, weight)
    return normal, right, ratio


def _solved(normal: FloatArray, right: FloatArray, used: tuple[int, ...]) -> FloatArray:
    """Least squares by the terms `used`; the first to come out negative, of those besides the gain, is left out."""
    at = list(used)
    scale = 1 / np.sqrt(np.maximum(np.diag(normal)[at], 1e-300))
    part = normal[np.ix_(at, at)] * np.outer(scale, scale)
    terms = np.zeros(right.size)
    terms[at] = scale * np.linalg.lstsq(part, scale * right[at], rcond=None)[0]
    if len(used) > 1 and min(terms[at]) < 0:
        return _solved(normal, right, tuple(term for term in used if term == GAIN or terms[term] > 0)[: len(used) - 1])
    return terms
