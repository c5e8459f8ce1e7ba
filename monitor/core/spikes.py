"""X-ray spikes: one pixel, one or two channels, huge. Reported apart, they are no anomalies of the specimen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.errors import DataError
from monitor.core.noise import NoiseEstimate, estimate_noise

FloatArray = NDArray[np.float64]

CANDIDATE_SIGMA = 6.0
SPIKE_SIGMA = 10.0
REACH = 2
"""A spike is narrower than this many channels to either side."""
TALLER = 1.2
"""A spike tops its surroundings by at least a fifth; less is a peak that is a little sharper."""
NEAR = 12
"""Channels to either side in which a spike must top everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """Where a spike peaks, and how far above its neighbours' spectrum in standard deviations of the noise."""

    row: int
    column: int
    channel: int
    height_sigma: float


def find_spikes(counts: NDArray[np.generic], noise: NoiseEstimate | None = None) -> list[Spike]:
    """The spikes of a map (row, column, energy), highest first; a narrow peak that the neighbours share is none.

    `noise` is estimated where it is not given; a map too small for that is too small for spikes to be told: none.
    """
    if noise is None:
        try:
            noise = estimate_noise(counts)
        except DataError:
            return []
    if counts.shape[2] <= 2 * REACH or counts.shape[0] * counts.shape[1] < 4:
        return []
    found: list[Spike] = []
    for row in range(counts.shape[0]):
        for column, channel in _candidates(_finite(counts[row]), noise):
            height = _height_sigma(counts, row, column, channel, noise)
            if height >= SPIKE_SIGMA:
                found.append(Spike(row=row, column=column, channel=channel, height_sigma=height))
    return sorted(found, key=lambda spike: -spike.height_sigma)


def _candidates(row: FloatArray, noise: NoiseEstimate) -> list[tuple[int, int]]:
    """(column, channel) of local peaks in a row (column, energy) that are narrow and high."""
    padded = np.pad(row, ((0, 0), (REACH, REACH)), constant_values=-np.inf)
    size = row.shape[1]
    beside = np.maximum(padded[:, :size], padded[:, 2 * REACH :])
    highest_here = np.maximum(padded[:, REACH - 1 : REACH - 1 + size], padded[:, REACH + 1 : REACH + 1 + size])
    narrow = row - beside > CANDIDATE_SIGMA * np.sqrt(2 * noise.variance(np.maximum(beside, 1.0)))
    return [(int(column), int(channel)) for column, channel in np.argwhere(narrow & (row >= highest_here))]


def _height_sigma(counts: NDArray[np.generic], row: int, column: int, channel: int, noise: NoiseEstimate) -> float:
    """How far a peak tops all that its neighbour pixels hold at energies near it; one that has moved never does."""
    channels = slice(max(channel - NEAR, 0), channel + NEAR + 1)
    at = channel - channels.start
    block = _finite(counts[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2, channels])
    here = _finite(counts[row, column, channels])
    centre = (row - max(row - 1, 0)) * block.shape[1] + column - max(column - 1, 0)
    neighbours = np.delete(block.reshape(-1, block.shape[2]), centre, axis=0)
    rest = np.ones(here.size, dtype=np.bool_)
    rest[max(at - 1, 0) : at + 2] = False
    brightness = neighbours[:, rest].sum(axis=1)
    if not rest.any() or not (brightness > 0).any():
        return 0.0
    alike = neighbours[brightness > 0] * (here[rest].sum() / brightness[brightness > 0])[:, None]
    top = float(alike.max())
    if here[at] < TALLER * top:
        return 0.0
    scatter = float((here - np.median(alike, axis=0))[rest].std())  # readout noise, where there are few counts
    return float((here[at] - top) / max(np.sqrt(noise.variance(max(top, 1.0))), scatter))


def _finite(counts: NDArray[np.generic]) -> FloatArray:
    return np.nan_to_num(counts.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
