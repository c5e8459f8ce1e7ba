"""From a map's counts to the terms of its noise: what is left of spectra when all that repeats is taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.errors import DataError
from monitor.core.noise_shapes import LAGS, Fold, left_of_lag, outlier_limit
from monitor.core.noise_terms import Cells, fit_terms

FloatArray = NDArray[np.float64]

MOST_SPECTRA = 4096
"""Spectra looked at; more would not sharpen the estimate."""
DARK = 0.1
"""A pixel with less than this share of the median counts is vacuum; a channel so dim has no more weight than this."""
ENOUGH = 1.002
GROUPS = 6
LEAST_IN_GROUP = 16
ODD_PIXEL_SIGMA = 6.0
ALONE = 3.0
"""Shapes that take this many times more out of a channel than out of its neighbours have learned its noise."""
MOST_OUTLIERS = 0.02
"""A channel with more outliers than this share of its pixels is the detector's doing."""
LEAST_LEFT = 0.5
"""A channel of which the shapes leave less than this share says nothing of the noise."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spectra:
    """`bright` (pixel, channel) and `dark` spectra in counts, of the channels `kept` among all `channels`."""

    bright: FloatArray
    dark: FloatArray
    kept: NDArray[np.int64]
    channels: int

    @property
    def per_channel(self) -> FloatArray:
        """What a channel is weighted by, in counts (channel,)."""
        mean = self.bright.mean(axis=0)
        return np.maximum(mean, DARK * float(np.median(mean)))

    @property
    def brightness(self) -> FloatArray:
        total = self.bright.sum(axis=1)
        return total / total.mean()

    @property
    def weighted(self) -> FloatArray:
        """Keenan and Kotula, Surf. Interface Anal. 36, 203 (2004): after this the noise is as large everywhere."""
        return self.bright / np.sqrt(np.outer(self.brightness, self.per_channel))

    def folds(self) -> tuple[Fold, Fold]:
        """Shapes of the even pixels with the odd ones held out, and the other way round."""
        weighted = self.weighted
        return Fold.of(weighted[1::2], weighted[::2]), Fold.of(weighted[::2], weighted[1::2])

    def of(self, pixels: NDArray[np.bool_], channels: NDArray[np.bool_]) -> _Spectra:
        return _Spectra(
            bright=self.bright[pixels][:, channels],
            dark=self.dark[:, channels],
            kept=self.kept[channels],
            channels=self.channels,
        )


def fit_noise(counts: NDArray[np.generic]) -> NoiseFit:
    """The noise of a map (row, column, energy); see `monitor.core.noise.estimate_noise`, which raises as this does."""
    drawn = _drawn(counts)
    _check(drawn)
    cleaned, folds = _cleaned(drawn)
    components, correlation = _components(folds)
    cells, trusted = _cells(cleaned, folds, components, correlation)
    terms, measured = fit_terms(
        Cells(variance=cells.variance[:, trusted], mean=cells.mean[:, trusted], pixels=cells.pixels[:, trusted])
    )
    ratio = np.full(drawn.channels, np.nan)
    ratio[np.setdiff1d(drawn.kept, cleaned.kept)] = np.inf
    ratio[cleaned.kept[trusted]] = measured
    return NoiseFit(
        floor=float(terms[0]),
        gain=float(terms[1]),
        over_dispersion=float(terms[2]),
        correlation=correlation,
        components=components,
        ratio=ratio,
    )


def _check(spectra: _Spectra) -> None:
    if spectra.bright.shape[0] < 4 or spectra.bright.shape[1] < 3:
        raise DataError(
            f"noise cannot be told from {spectra.bright.shape[0]} spectra of {spectra.bright.shape[1]} channels with "
            "counts; wanted at least 4 spectra and 3 channels"
        )


def _drawn(counts: NDArray[np.generic]) -> _Spectra:
    """Up to MOST_SPECTRA spectra in a mixed order, without channels that hold nothing."""
    rows, columns, channels = counts.shape
    drawn = np.unique(np.linspace(0, rows * columns - 1, MOST_SPECTRA, dtype=np.int64))
    drawn = np.random.default_rng(0).permutation(drawn)  # else the two halves would be the odd and the even columns
    spectra = counts.reshape(-1, channels)[drawn].astype(np.float64)
    finite = np.isfinite(spectra)
    kept = finite.mean(axis=0) > 0.5  # a channel that is missing everywhere must not take all pixels with it
    spectra = spectra[finite[:, kept].all(axis=1)][:, kept]
    total = spectra.sum(axis=1)
    bright = total > max(DARK * float(np.median(total)), 0.0) if total.size else total > 0
    holding = (spectra[bright].sum(axis=0) > 0) & (np.ptp(spectra, axis=0) > 0) if bright.any() else kept[kept]
    return _Spectra(
        bright=spectra[bright][:, holding],
        dark=spectra[~bright & (total < DARK * float(np.median(total)))][:, holding] if total.size else spectra,
        kept=np.flatnonzero(kept)[holding],
        channels=channels,
    )


def _cleaned(spectra: _Spectra) -> tuple[_Spectra, tuple[Fold, Fold]]:
    """Without spikes, noisy channels and odd pixels, and learned anew where there were any."""
    folds = spectra.folds()
    noisy = _spiky_channels(folds)
    if any(fold.outlier.any() for fold in folds):  # spikes are learned before anything else: they go first
        spectra = _without_outliers(spectra, folds)
        folds = spectra.folds()
    noisy |= _spiky_channels(folds) | (_learned_alone(folds[0]) & _learned_alone(folds[1]))
    odd = np.zeros(spectra.bright.shape[0], dtype=np.bool_)
    odd[::2], odd[1::2] = (_odd_pixels(fold) for fold in folds)
    if (~odd).sum() < 4 or (~noisy).sum() < 3 or not (noisy.any() or odd.any()):
        return spectra, folds
    cleaned = _without_outliers(spectra, folds).of(~odd, ~noisy)
    return cleaned, cleaned.folds()


def _without_outliers(spectra: _Spectra, folds: tuple[Fold, Fold]) -> _Spectra:
    mended = np.empty_like(spectra.bright)
    mended[::2], mended[1::2] = (fold.held_out for fold in folds)
    mended *= np.sqrt(np.outer(spectra.brightness, spectra.per_channel))
    return _Spectra(bright=mended, dark=spectra.dark, kept=spectra.kept, channels=spectra.channels)


def _spiky_channels(folds: tuple[Fold, Fold]) -> NDArray[np.bool_]:
    return np.logical_and(*(fold.outlier.mean(axis=0) > MOST_OUTLIERS for fold in folds))


def _learned_alone(fold: Fold) -> NDArray[np.bool_]:
    """Channels that have a shape of their own."""
    taken = np.pad((fold.shapes**2).sum(axis=1), 1)
    return (taken[1:-1] > 1 - LEAST_LEFT) & (taken[1:-1] > ALONE * np.maximum(taken[:-2], taken[2:]))


def _odd_pixels(fold: Fold) -> NDArray[np.bool_]:
    """Pixels that none of the shapes fit."""
    left = (fold.residual**2).mean(axis=1)
    middle = float(np.median(left))
    return left > middle + ODD_PIXEL_SIGMA * 1.4826 * float(np.median(np.abs(left - middle)))


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
    spectra: _Spectra, folds: tuple[Fold, Fold], components: int, correlation: FloatArray
) -> tuple[Cells, NDArray[np.bool_]]:
    """Variance and mean in groups of pixels of like brightness, dark ones last, and the channels that tell (channel,)."""
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
