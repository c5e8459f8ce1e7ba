"""Linear models of what is normal: a spectrum rebuilt from a few components, by several ways to find them."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subspace:
    """Spectra are `mean` plus `components` (component, energy), orthonormal after division by `weight` (energy,)."""

    mean: FloatArray
    weight: FloatArray
    components: FloatArray

    def rebuilt(self, counts: FloatArray) -> FloatArray:
        """The point of the subspace nearest to each spectrum (..., energy)."""
        scores = ((counts - self.mean) / self.weight) @ self.components.T
        return self.mean + (scores @ self.components) * self.weight

    def coordinates(self, counts: FloatArray) -> FloatArray:
        """Where spectra (..., energy) lie in the subspace: (..., component)."""
        return ((counts - self.mean) / self.weight) @ self.components.T


def pca(counts: FloatArray, components: int) -> Subspace:
    """Principal components of spectra (pixel, energy) as they are."""
    mean = counts.mean(0, dtype=np.float64)
    return Subspace(mean=mean, weight=np.ones_like(mean), components=_leading(counts - mean, components))


def poisson_pca(counts: FloatArray, components: int) -> Subspace:
    """Components of spectra (pixel, energy) weighted for Poisson noise.

    Keenan and Kotula, Surf. Interface Anal. 36, 203 (2004): divided by the root of the mean spectrum and of the mean
    image, not centred.
    """
    weight = np.sqrt(np.maximum(counts.mean(0, dtype=np.float64), 1e-6))
    image = np.sqrt(np.maximum(counts.mean(1, dtype=np.float64), 1e-6))[:, None]
    return Subspace(mean=np.zeros_like(weight), weight=weight, components=_leading(counts / weight / image, components))


def robust_pca(counts: FloatArray, components: int) -> Subspace:
    """Online robust PCA of HyperSpy: a low-rank part beside sparse outliers, each pixel seen once.

    Feng, Xu and Yan, NIPS 26, 404 (2013). Spectra are scaled for Poisson noise first, as a user would.
    Raises ImportError where HyperSpy is not installed.
    """
    orpca = _orpca()
    weight = np.sqrt(np.maximum(counts.mean(0, dtype=np.float64), 1e-6))
    scaled = counts / weight
    scale = np.abs(scaled).mean()
    order = np.random.default_rng(0).permutation(len(scaled))
    with redirect_stderr(io.StringIO()):  # it draws a progress bar
        basis = orpca((scaled[order] / scale).T, rank=components, training_samples=100)[0]  # of (energy, pixel)
    return Subspace(mean=np.zeros_like(weight), weight=weight, components=np.linalg.qr(basis)[0].T)


def robust_pca_is_there() -> bool:
    """Whether HyperSpy offers its online robust PCA here."""
    try:
        _orpca()
    except ImportError:
        return False
    return True


def _orpca() -> Any:
    try:
        from hyperspy.learn import orpca
    except ImportError:  # HyperSpy before 2.5
        from hyperspy.learn.rpca import orpca  # pyright: ignore[reportMissingImports]
    return orpca


def _leading(x: FloatArray, components: int) -> FloatArray:
    """Leading right singular vectors (component, energy)."""
    size = x.shape[1]
    square = x.T.astype(np.float64) @ x
    return eigh(square, subset_by_index=(max(size - components, 0), size - 1))[1][:, ::-1].T
