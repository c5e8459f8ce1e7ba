"""What the specimen does to a map's spectra, learned from one half of the pixels and taken out of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MOST_COMPONENTS = 16
LAGS = 4
OUTLIER_SIGMA = 6.0
CLEANINGS = 2
"""A spike leans on the fit of its own spectrum; once it has been replaced by the fit, the second fit is free of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Weighted spectra held out (pixel, channel), outliers among them replaced by the fit and marked in `outlier`.

    `shapes` (channel, component) are orthonormal and were learned from `learned_from` other pixels, strongest first;
    `residual` (pixel, channel) is what they all leave, 0 at outliers.
    """

    held_out: FloatArray
    outlier: NDArray[np.bool_]
    residual: FloatArray
    shapes: FloatArray
    learned_from: int

    @staticmethod
    def of(learn: FloatArray, held_out: FloatArray) -> Fold:
        """Both (pixel, channel), weighted so that the noise is equally large everywhere."""
        shapes = shapes_of(learn)
        cleaned = held_out.copy()
        residual = held_out - (cleaned @ shapes) @ shapes.T
        outlier = np.zeros(held_out.shape, dtype=np.bool_)
        for _ in range(CLEANINGS):
            outlier = np.abs(residual) > outlier_limit(residual)
            if not outlier.any():
                break
            fit = (cleaned @ shapes) @ shapes.T
            cleaned[outlier] = fit[outlier]
            residual = held_out - (cleaned @ shapes) @ shapes.T
        residual[outlier] = 0.0
        return Fold(held_out=cleaned, outlier=outlier, residual=residual, shapes=shapes, learned_from=learn.shape[0])

    def powers(self) -> FloatArray:
        """Sum of squares left by the first 1, 2, ... components (component,)."""
        scores = self.held_out @ self.shapes
        left = self.residual.copy()
        powers = np.empty(self.shapes.shape[1])
        for k in range(powers.size - 1, -1, -1):  # from the last, so that the outliers are the same throughout
            powers[k] = float(np.vdot(left, left))
            left += np.where(self.outlier, 0.0, np.outer(scores[:, k], self.shapes[:, k]))
        return powers

    def residual_of(self, components: int) -> FloatArray:
        """What the first `components` leave (pixel, channel), 0 at outliers."""
        rest = self.shapes[:, components:]
        more = (self.held_out @ rest) @ rest.T
        more[self.outlier] = 0.0
        return self.residual + more


def shapes_of(spectra: FloatArray) -> FloatArray:
    """Up to MOST_COMPONENTS orthonormal shapes (channel, component) of spectra (pixel, channel), strongest first."""
    most = max(1, min(MOST_COMPONENTS, spectra.shape[0], spectra.shape[1] // 4))
    if spectra.shape[0] >= spectra.shape[1]:  # the smaller of the two matrices has the same answer
        return np.linalg.eigh(spectra.T @ spectra)[1][:, ::-1][:, :most]
    squares, weights = np.linalg.eigh(spectra @ spectra.T)
    most = max(1, min(most, int((squares > squares[-1] * 1e-12).sum())))
    shapes = spectra.T @ weights[:, ::-1][:, :most]
    return shapes / np.linalg.norm(shapes, axis=0)


def left_of_lag(shapes: FloatArray, lag_in: int, lag_out: int) -> FloatArray:
    """What is left at `lag_out` of a covariance that is 1 at `lag_in`, once `shapes` (channel, component) are out.

    With P the projection on the shapes and T the matrix that is 1 where two channels are `lag_in` apart: the diagonal
    `lag_out` of (1 - P) T (1 - P), one number for each pair of channels (channel - lag_out,).
    """
    size = shapes.shape[0]
    moved = np.zeros_like(shapes)  # T applied to the shapes
    moved[: size - lag_in] += shapes[lag_in:]
    if lag_in > 0:
        moved[lag_in:] += shapes[: size - lag_in]
    first, second = slice(0, size - lag_out), slice(lag_out, size)
    crossed = (shapes[first] * moved[second]).sum(axis=1) + (moved[first] * shapes[second]).sum(axis=1)
    both = ((shapes[first] @ (shapes.T @ moved)) * shapes[second]).sum(axis=1)
    return float(lag_in == lag_out) - crossed + both


def outlier_limit(residual: FloatArray) -> float:
    """OUTLIER_SIGMA standard deviations of what is no outlier itself."""
    core = residual[np.abs(residual) <= OUTLIER_SIGMA * _rms(residual)]
    return OUTLIER_SIGMA * _rms(core)


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))
