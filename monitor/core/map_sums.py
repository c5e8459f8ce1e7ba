"""Sums over a map, gathered a row at a time so that a large map is never held twice."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class MapSums(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over a map of counts gathered a row at a time: `per_pixel` (row, column); the others (channel,)."""

    per_pixel: FloatArray
    mean: FloatArray
    lowest: FloatArray
    highest: FloatArray
    non_finite: int
    negative: int

    @staticmethod
    def of(counts: NDArray[np.generic]) -> MapSums:
        """Of a map (row, column, energy); what is not finite counts as missing."""
        rows, columns, channels = counts.shape
        per_pixel = np.zeros((rows, columns))
        total, seen = np.zeros(channels), np.zeros(channels)
        lowest, highest = np.full(channels, np.inf), np.full(channels, -np.inf)
        negative = 0
        for row in range(rows):
            spectra = counts[row].astype(np.float64)
            finite = np.isfinite(spectra)
            negative += int((spectra[finite] < 0).sum())
            lowest = np.minimum(lowest, np.where(finite, spectra, np.inf).min(axis=0))
            highest = np.maximum(highest, np.where(finite, spectra, -np.inf).max(axis=0))
            kept = np.where(finite, spectra, 0.0)
            per_pixel[row] = kept.sum(axis=1)
            total += kept.sum(axis=0)
            seen += finite.sum(axis=0)
        return MapSums(
            per_pixel=per_pixel,
            mean=total / np.maximum(seen, 1),
            lowest=lowest,
            highest=highest,
            non_finite=int(counts.size - seen.sum()),
            negative=negative,
        )
