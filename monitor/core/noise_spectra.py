"""Spectra of a map that tell of its noise: weighted alike, without spikes, noisy channels and odd pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.errors import DataError
from monitor.core.noise_shapes import Fold

FloatArray = NDArray[np.float64]

MOST_SPECTRA = 4096
"""Spectra looked at; more would not sharpen the estimate."""
DARK = 0.1
"""A pixel with less than this share of the median counts is vacuum; a channel so dim has no more weight than this."""
TOWERING = 5.0
"""A count this many times further above the median pixel than the brightest hundredth is a spike."""
ODD_PIXEL_SIGMA = 6.0
ALONE = 3.0
"""Shapes that take this many times more out of a channel than out of its neighbours have learned its noise."""
MOST_OUTLIERS = 0.02
"""A channel with more outliers than this share of its pixels is the detector's doing."""
LEAST_LEFT = 0.5
"""A channel of which the shapes leave less than this share says nothing of the noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSpectra:
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

    def of(self, pixels: NDArray[np.bool_], channels: NDArray[np.bool_]) -> NoiseSpectra:
        return NoiseSpectra(
            bright=self.bright[pixels][:, channels],
            dark=self.dark[:, channels],
            kept=self.kept[channels],
            channels=self.channels,
        )


def drawn(counts: NDArray[np.generic]) -> NoiseSpectra:
    """Up to MOST_SPECTRA spectra of a map (row, column, energy) in a mixed order, without channels that hold nothing.

    Raises DataError where fewer than four spectra or three channels remain.
    """
    rows, columns, channels = counts.shape
    chosen = np.unique(np.linspace(0, rows * columns - 1, MOST_SPECTRA, dtype=np.int64))
    chosen = np.random.default_rng(0).permutation(chosen)  # else the two halves would be the odd and the even columns
    spectra = counts.reshape(-1, channels)[chosen].astype(np.float64)
    finite = np.isfinite(spectra)
    kept = finite.mean(axis=0) > 0.5  # a channel that is missing everywhere must not take all pixels with it
    spectra = spectra[finite[:, kept].all(axis=1)][:, kept]
    total = spectra.sum(axis=1)
    bright = total > max(DARK * float(np.median(total)), 0.0) if total.size else total > 0
    holding = (spectra[bright].sum(axis=0) > 0) & (np.ptp(spectra, axis=0) > 0) if bright.any() else kept[kept]
    shape = (int(bright.sum()), int(holding.sum()))
    if shape[0] < 4 or shape[1] < 3:
        raise DataError(
            f"noise cannot be told from {shape[0]} spectra of {shape[1]} channels with counts; "
            "wanted at least 4 spectra and 3 channels"
        )
    return NoiseSpectra(
        bright=_without_peaks(spectra[bright][:, holding]),
        dark=spectra[~bright][:, holding],
        kept=np.flatnonzero(kept)[holding],
        channels=channels,
    )


def _without_peaks(spectra: FloatArray) -> FloatArray:
    """`spectra` (pixel, channel) less what towers over all other pixels: two spikes in a channel would be a shape."""
    scale = spectra.sum(axis=1, keepdims=True) / float(spectra.sum(axis=1).mean())
    middle, high = np.percentile(spectra / scale, (50, 99), axis=0)
    peak = (spectra > scale * (middle + TOWERING * (high - middle))) & (high > middle)
    return np.where(peak, scale * middle, spectra)


def cleaned(spectra: NoiseSpectra) -> tuple[NoiseSpectra, tuple[Fold, Fold]]:
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
    clean = _without_outliers(spectra, folds).of(~odd, ~noisy)
    return clean, clean.folds()


def _without_outliers(spectra: NoiseSpectra, folds: tuple[Fold, Fold]) -> NoiseSpectra:
    mended = np.empty_like(spectra.bright)
    mended[::2], mended[1::2] = (fold.held_out for fold in folds)
    mended *= np.sqrt(np.outer(spectra.brightness, spectra.per_channel))
    return NoiseSpectra(bright=mended, dark=spectra.dark, kept=spectra.kept, channels=spectra.channels)


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
