"""Other ways to find anomalies, each as strong as it can fairly be made.

A baseline learns from spectra (pixel, energy) and gives a judge: counts (row, column, energy) -> its scores by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest

from training.evaluation.subspace import Subspace, pca, poisson_pca, robust_pca, robust_pca_is_there

FloatArray = NDArray[np.floating]
Judge = Callable[[FloatArray], Mapping[str, FloatArray]]
BUMP_WIDTHS = (0.7, 1.5, 3.0, 6.0)
"""Standard deviations of the Gaussian windows that residuals are summed in, in channels."""
FARTHEST = 6.0
"""Standard deviations that a window reaches: the tiny numbers beyond take a processor eighteen times as long."""
LEAST_EXPECTED = 1.0
PIXELS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A method by name; `slow` ones are left out of small evaluations."""

    name: str
    learn: Callable[[FloatArray], Judge]
    slow: bool = False


def baselines(*, slow: bool) -> list[Baseline]:
    """All that can be had here."""
    found = [Baseline(name=f"PCA-{k}", learn=partial(_subspace, fit=pca, components=k)) for k in (3, 5, 8)]
    found.append(Baseline(name="Poisson PCA-5", learn=partial(_subspace, fit=poisson_pca, components=5)))
    found.append(Baseline(name="RX", learn=_rx))
    if slow:
        found.append(Baseline(name="isolation forest", learn=_forest, slow=True))
        if robust_pca_is_there():
            found.append(Baseline(name="ORPCA-5", learn=partial(_subspace, fit=robust_pca, components=5), slow=True))
    return found


def _subspace(spectra: FloatArray, *, fit: Callable[[FloatArray, int], Subspace], components: int) -> Judge:
    """Residuals of a linear model: chi2 of the pixel, and the strongest Gaussian window in a pixel and in 3 x 3.

    The windows are standardised by the spread they show on `spectra`, as those of 3D-CVAE are.
    """
    model = fit(spectra, components)
    windows = _windows(spectra.shape[1])
    some = spectra[:: max(len(spectra) // PIXELS_AT_ONCE, 1)]
    spread = _spread(_evidence(*_residual(model, some), windows))

    def judge(counts: FloatArray) -> dict[str, FloatArray]:
        flat = counts.reshape(-1, counts.shape[-1])
        chi2, evidence = [], []
        for start in range(0, len(flat), PIXELS_AT_ONCE):
            residual, expected = _residual(model, flat[start : start + PIXELS_AT_ONCE])
            chi2.append((residual**2 / expected).mean(-1))
            evidence.append(_evidence(residual, expected, windows) / spread)
        z = np.concatenate(evidence).reshape(*counts.shape[:2], -1)
        # The mean of nine, not of those that are there: at the border a window holds its mirror image.
        around = 3 * uniform_filter(z, (3, 3, 1))
        return {
            "chi2": np.concatenate(chi2).reshape(counts.shape[:2]),
            "window": np.abs(z).max(-1),
            "window 3x3": np.abs(around).max(-1),
        }

    return judge


def _residual(model: Subspace, spectra: FloatArray) -> tuple[FloatArray, FloatArray]:
    expected = np.maximum(model.rebuilt(spectra), LEAST_EXPECTED).astype(np.float32)
    return spectra - expected, expected


def _evidence(residual: FloatArray, expected: FloatArray, windows: FloatArray) -> FloatArray:
    """Sums of residuals in windows over the spread that Poisson counts give them: (pixel, window)."""
    return (residual @ windows) / np.sqrt(expected @ windows**2)


def _windows(channels: int) -> NDArray[np.float32]:
    at = np.arange(channels)
    made = []
    for width in BUMP_WIDTHS:
        centres = np.arange(0, channels, max(round(width / 1.5), 1))
        z = (at[:, None] - centres) / width
        made.append(np.where(np.abs(z) <= FARTHEST, np.exp(-0.5 * z**2), 0.0))
    return np.concatenate(made, axis=1).astype(np.float32)


def _spread(z: FloatArray) -> FloatArray:
    return np.maximum(1.4826 * np.median(np.abs(z), axis=0), 0.1)


def _rx(spectra: FloatArray) -> Judge:
    """Mahalanobis distance from the mean (Reed and Yu, IEEE Trans. ASSP 38, 1760 (1990)), covariance shrunk.

    Of root counts, whose Poisson noise is even, and of each spectrum's shape: thickness is no anomaly.
    """
    learnt = LedoitWolf().fit(_even(spectra))
    return lambda counts: {
        "distance": learnt.mahalanobis(_even(counts.reshape(-1, counts.shape[-1]))).reshape(counts.shape[:2])
    }


def _forest(spectra: FloatArray) -> Judge:
    """Isolation forest (Liu, Ting and Zhou, ICDM 2008) on eight principal components of root counts."""
    even = _even(spectra)
    space = pca(even, 8)
    forest = IsolationForest(n_estimators=200, random_state=0).fit(space.coordinates(even))

    def judge(counts: FloatArray) -> dict[str, FloatArray]:
        flat = space.coordinates(_even(counts.reshape(-1, counts.shape[-1])))
        return {"isolation": -forest.score_samples(flat).reshape(counts.shape[:2])}

    return judge


def _even(counts: FloatArray) -> FloatArray:
    """Root of each spectrum's share of the counts, (..., energy)."""
    total = np.maximum(counts.sum(-1, keepdims=True, dtype=np.float64), 1.0)
    return np.sqrt(np.maximum(counts, 0.0) / total)
