"""From a map's counts to the terms of its noise: what is left of spectra when all that repeats is taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.noise_shapes import LAGS, Fold, left_of_lag, outlier_limit
from monitor.core.noise_spectra import LEAST_LEFT, NoiseSpectra, cleaned, drawn
from monitor.core.noise_terms import Cells, fit_terms

FloatArray = NDArray[np.float64]

ENOUGH = 1.002
GROUPS = 6
LEAST_IN_GROUP = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFit:
    """Terms as in NoiseEstimate. `correlation` at lags 1, 2, ... channels.

    `ratio` (channel,) is each channel's measured variance over that of the terms: NaN where there was nothing to
    measure, infinite where the channel had to be left out as too noisy.
    """

    floor: float
    gain: float
    over_dispersion: float
    correlation: FloatArray
    components: int
    ratio: FloatArray


def fit_noise(counts: NDArray[np.generic]) -> NoiseFit:
    """The noise of a map (row, column, energy); see `monitor.core.noise.estimate_noise`, which raises as this does."""
    spectra = drawn(counts)
    clean, folds = cleaned(spectra)
    components, correlation = _components(folds)
    cells, trusted = _cells(clean, folds, components, correlation)
    terms, measured = fit_terms(
        Cells(variance=cells.variance[:, trusted], mean=cells.mean[:, trusted], pixels=cells.pixels[:, trusted])
    )
    ratio = np.full(spectra.channels, np.nan)
    ratio[np.setdiff1d(spectra.kept, clean.kept)] = np.inf
    ratio[clean.kept[trusted]] = measured
    return NoiseFit(
        floor=float(terms[0]),
        gain=float(terms[1]),
        over_dispersion=float(terms[2]),
        correlation=correlation,
        components=components,
        ratio=ratio,
    )


def _components(folds: tuple[Fold, Fold]) -> tuple[int, FloatArray]:
    """The fewest shapes that leave as little as any number of them, and the noise's correlation (lag,)."""
    most = min(fold.shapes.shape[1] for fold in folds)
    correlation = _correlation(folds, most)
    powers = np.zeros(most)
    for fold in folds:
        kept = np.array([1 - _taken_out(fold.shapes[:, :k], correlation) for k in range(1, most + 1)])
        powers += fold.powers()[:most] / kept
    components = int(np.argmax(powers <= ENOUGH * powers.min())) + 1
    return components, _correlation(folds, components)


def _taken_out(shapes: FloatArray, correlation: FloatArray) -> float:
    return 1 - float(_left(shapes, correlation).mean())


def _left(shapes: FloatArray, correlation: FloatArray) -> FloatArray:
    """The share of each channel's variance that is left when the shapes have been taken out (channel,)."""
    lags = enumerate([1.0, *correlation])
    return np.sum([rho * left_of_lag(shapes, lag, 0) for lag, rho in lags], axis=0)


def _correlation(folds: tuple[Fold, Fold], components: int) -> FloatArray:
    """Of the noise, at lags 1 to LAGS (lag,): what the shapes have taken out at each lag is put back."""
    lags = min(LAGS, folds[0].shapes.shape[0] - 2) + 1
    seen, left = np.zeros(lags), np.zeros((lags, lags))
    for fold in folds:
        residual, shapes = fold.residual_of(components), fold.shapes[:, :components]
        for out in range(lags):
            seen[out] += float((residual[:, : residual.shape[1] - out] * residual[:, out:]).mean())
            left[out] += [float(left_of_lag(shapes, lag, out).mean()) for lag in range(lags)]
    covariance = np.linalg.lstsq(left, seen, rcond=None)[0]
    correlation = np.zeros(LAGS)
    if covariance[0] > 0:
        correlation[: lags - 1] = np.clip(covariance[1:] / covariance[0], -1.0, 1.0)
    return correlation


def _cells(
    spectra: NoiseSpectra, folds: tuple[Fold, Fold], components: int, correlation: FloatArray
) -> tuple[Cells, NDArray[np.bool_]]:
    """Variance and mean in groups of pixels of like brightness, dark ones last; which channels tell (channel,)."""
    brightness, per_channel = spectra.brightness, spectra.per_channel
    groups = max(1, min(GROUPS, brightness.size // LEAST_IN_GROUP))
    group = np.argsort(np.argsort(brightness)) * groups // brightness.size
    shape = (groups + 1, per_channel.size)
    squares, means, pixels = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    trusted = np.ones(per_channel.size, dtype=np.bool_)
    for start, fold in enumerate(folds):
        residual, shapes = fold.residual_of(components), fold.shapes[:, :components]
        left = _left(shapes, correlation)
        trusted &= left > LEAST_LEFT
        learned = 1 + components / fold.learned_from  # the shapes' own errors are left in, once for each shape
        undone = per_channel / np.maximum(left, LEAST_LEFT) / learned
        held, bright = spectra.bright[start::2], brightness[start::2]
        for g in range(groups):
            here = group[start::2] == g
            seen = ~fold.outlier[here]
            squares[g] += (residual[here] ** 2 * bright[here, None]).sum(axis=0) * undone
            means[g] += (held[here] * seen).sum(axis=0)
            pixels[g] += seen.sum(axis=0)
    dark = spectra.dark / np.sqrt(per_channel)
    if dark.shape[0] >= LEAST_IN_GROUP:
        shapes = folds[0].shapes[:, :components]
        residual = dark - (dark @ shapes) @ shapes.T
        seen = np.abs(residual) <= outlier_limit(residual)
        left = np.maximum(_left(shapes, correlation), LEAST_LEFT)
        squares[-1] = (np.where(seen, residual, 0.0) ** 2).sum(axis=0) * per_channel / left
        means[-1], pixels[-1] = (spectra.dark * seen).sum(axis=0), seen.sum(axis=0)
    pixels[squares <= 0] = 0  # blanked, not dark
    some = np.maximum(pixels, 1)
    if not trusted.sum() >= min(3, trusted.size):
        trusted[:] = True
    return Cells(variance=squares / some, mean=means / some, pixels=pixels), trusted
