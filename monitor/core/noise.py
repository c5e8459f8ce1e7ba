"""Detector noise, estimated from the counts of a map themselves.

Real noise is not Poisson: gain and point spread make the variance differ from the mean and tie neighbouring channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.errors import DataError

FloatArray = NDArray[np.float64]

MOST_SPECTRA = 4096
"""Spectra looked at; more would not sharpen the estimate."""
MOST_COMPONENTS = 16
ENOUGH = 1.01
OUTLIER_SIGMA = 6.0
DARK = 0.1
"""A pixel with less than this share of the median counts is vacuum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseEstimate:
    """`gain`: variance over mean, in counts. `channel_correlation`: of the noise in neighbouring channels.

    `components`: how many spectral shapes had to be taken out before only noise was left.
    """

    gain: float
    channel_correlation: float
    components: int


def estimate_noise(counts: NDArray[np.generic]) -> NoiseEstimate:
    """The noise of a map (row, column, energy) of counts; what is smooth or repeats over the map is not noise.

    Spectral shapes are learned from one half of the pixels and taken out of the other, so that no noise is fitted away.
    Pixels and channels that hold no finite positive counts are left out. Raises DataError where fewer than four
    spectra or three channels remain.
    """
    spectra = _bright_spectra(counts)
    if spectra.shape[0] < 4 or spectra.shape[1] < 3:
        raise DataError(
            f"noise cannot be told from {spectra.shape[0]} spectra of {spectra.shape[1]} channels with counts; "
            "wanted at least 4 spectra and 3 channels"
        )
    flat = spectra.mean(axis=1, keepdims=True) * spectra.mean(axis=0, keepdims=True) / spectra.mean()
    # Keenan and Kotula, Surf. Interface Anal. 36, 203 (2004): after this the noise is as large everywhere.
    weighted = spectra / np.sqrt(flat)
    share = spectra / flat
    halves = (slice(0, None, 2), slice(1, None, 2))
    folds = [_Fold.of(weighted[a], weighted[b], share[b]) for a, b in (halves, halves[::-1])]
    most = min(fold.most_components for fold in folds)
    gains = [float(np.mean([fold.gain(k) for fold in folds])) for k in range(1, most + 1)]
    # Correlated noise looks a little like a shape, so more shapes always gain a little: take the fewest that do.
    components = int(np.argmax(np.array(gains) <= ENOUGH * min(gains))) + 1
    return NoiseEstimate(
        gain=gains[components - 1],
        channel_correlation=float(np.mean([fold.channel_correlation(components) for fold in folds])),
        components=components,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fold:
    """Spectra held out (pixel, channel), their share of the flat mean, and shapes (channel, k) learned elsewhere."""

    held_out: FloatArray
    share: FloatArray
    shapes: FloatArray

    @staticmethod
    def of(learn: FloatArray, held_out: FloatArray, share: FloatArray) -> _Fold:
        most = max(1, min(MOST_COMPONENTS, learn.shape[0], learn.shape[1] // 4))
        if learn.shape[0] < learn.shape[1]:  # the smaller of the two matrices has the same answer
            squares, weights = np.linalg.eigh(learn @ learn.T)
            most = max(1, min(most, int((squares > squares[-1] * 1e-12).sum())))
            shapes = learn.T @ weights[:, ::-1][:, :most]
            shapes /= np.linalg.norm(shapes, axis=0)
        else:
            shapes = np.linalg.eigh(learn.T @ learn)[1][:, ::-1][:, :most]
        return _Fold(held_out=held_out, share=share, shapes=shapes)

    @property
    def most_components(self) -> int:
        return self.shapes.shape[1]

    def gain(self, components: int) -> float:
        residual, left = self._noise(components)
        power = float((residual**2).sum())
        seen = float(np.where(residual != 0, self.share, 0.0).sum())
        return power / seen / left if power > 0 else 0.0

    def channel_correlation(self, components: int) -> float:
        residual, left = self._noise(components)
        variance = float((residual**2).mean()) / left
        if variance == 0:
            return 0.0
        neighbours = float((residual[:, 1:] * residual[:, :-1]).mean())
        # Taking out smooth shapes leaves white noise with this much correlation of its own.
        shapes = self.shapes[:, :components]
        bias = -float((shapes[1:] * shapes[:-1]).sum()) / (shapes.shape[0] - 1)
        return neighbours / variance - bias

    def _noise(self, components: int) -> tuple[FloatArray, float]:
        """What is left (pixel, channel), outliers set to 0, and the share of the noise's freedom that is left."""
        shapes = self.shapes[:, :components]
        residual = self.held_out - (self.held_out @ shapes) @ shapes.T
        core = residual[np.abs(residual) <= OUTLIER_SIGMA * _rms(residual)]
        limit = OUTLIER_SIGMA * _rms(core)
        return np.where(np.abs(residual) <= limit, residual, 0.0), 1 - components / shapes.shape[0]


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _bright_spectra(counts: NDArray[np.generic]) -> FloatArray:
    """Up to MOST_SPECTRA spectra (pixel, channel) in a mixed order, without dark pixels and channels."""
    rows, columns, channels = counts.shape
    drawn = np.unique(np.linspace(0, rows * columns - 1, MOST_SPECTRA, dtype=np.int64))
    drawn = np.random.default_rng(0).permutation(drawn)  # else the two halves would be the odd and the even columns
    spectra = counts.reshape(-1, channels)[drawn].astype(np.float64)
    spectra = spectra[np.isfinite(spectra).all(axis=1)]
    if not spectra.shape[0]:
        return spectra
    total = spectra.sum(axis=1)
    spectra = spectra[total > max(DARK * float(np.median(total)), 0.0)]  # in vacuum the readout noise would rule
    return spectra[:, spectra.sum(axis=0) > 0]
