"""From a score to a p-value, and from p-values to flags.

Conformal p-values (Bates et al., Ann. Stat. 51, 149 (2023)) from held-out clean pixels, continued beyond the largest of
them by a generalised-Pareto tail; Benjamini-Hochberg over what has been scored.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

SMALLEST_P = 1e-30
PIXELS_A_WITNESS = 4
"""Scores of neighbours share counts: so many pixels in the tail tell as much of it as one that stands alone. Over eight
trainings the logarithm of the share of clean pixels beyond p = .001 scattered by .41; for their 9,216 pixels this says
.40."""


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """Generalised Pareto beyond `threshold`: p = p_at_threshold (1 + shape (s - threshold) / scale)^(-1 / shape)."""

    threshold: float
    p_at_threshold: float
    shape: float
    scale: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Turns scores into p-values. `knots_p[i]` is the p-value of a score of `knots_score[i]` (ascending scores)."""

    pixels: int
    counts_per_pixel: tuple[float, float]
    knots_score: list[float]
    knots_p: list[float]
    tail: Tail

    def p_values(self, score: NDArray[np.floating]) -> NDArray[np.float32]:
        """The chance that a clean pixel scores at least this much; same shape as `score`, NaN where it is NaN."""
        s = np.asarray(score, dtype=np.float64)
        p = np.interp(s, self.knots_score, self.knots_p)
        excess = np.maximum(s - self.tail.threshold, 0.0) / self.tail.scale
        shape = self.tail.shape
        decay = np.exp(-excess) if abs(shape) < 1e-9 else np.maximum(1 + shape * excess, 0.0) ** (-1 / shape)
        p = np.where(s > self.tail.threshold, self.tail.p_at_threshold * decay, p)
        return np.where(np.isnan(s), np.nan, np.clip(p, SMALLEST_P, 1.0)).astype(np.float32)

    def raised(self, p_values: NDArray[np.floating]) -> NDArray[np.float64]:
        """`p_values` of this calibration, each made larger by one standard error; same shape and order, NaN stays.

        The tail has an uncertain height and an uncertain decay, which counts for more the farther out. Conformal
        p-values hold on average over calibrations; a scan has one (Bates et al., section 3).
        """
        p = np.asarray(p_values, dtype=np.float64)
        witnesses = max(self.pixels * self.tail.p_at_threshold / PIXELS_A_WITNESS, 1.0)
        beyond = np.log(np.maximum(self.tail.p_at_threshold / p, 1.0))
        return np.minimum(p * np.exp(np.sqrt((1 + beyond**2) / witnesses)), 1.0)


def discovery_threshold(p_values: NDArray[np.floating], fdr: float) -> float:
    """Benjamini-Hochberg: the largest p-value that is flagged so that at most a share `fdr` of the flags is false.

    NaN (missing) pixels do not count. Returns 0.0 where nothing is flagged.
    """
    p = np.sort(np.asarray(p_values, dtype=np.float64), axis=None)
    p = p[np.isfinite(p)]
    passed = np.flatnonzero(p <= fdr * np.arange(1, p.size + 1) / max(p.size, 1))
    return float(p[passed[-1]]) if passed.size else 0.0
