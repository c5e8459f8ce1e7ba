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
MOVED_REACH = 12
MOVED_SHARE = 0.4
"""A peak that has moved leaves a dip of this share of its height within MOVED_REACH channels; a spike does not."""


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
        for column, channel in _candidates(_finite(counts[row]), noise.gain):
            height = _height_sigma(counts, row, column, channel, noise.gain)
            if height >= SPIKE_SIGMA:
                found.append(Spike(row=row, column=column, channel=channel, height_sigma=height))
    return sorted(found, key=lambda spike: -spike.height_sigma)


def _candidates(row: FloatArray, gain: float) -> list[tuple[int, int]]:
    """(column, channel) of local peaks in a row (column, energy) that are narrow and high."""
    padded = np.pad(row, ((0, 0), (REACH, REACH)), mode="reflect")
    size = row.shape[1]
    beside = np.maximum(padded[:, :size], padded[:, 2 * REACH :])
    highest_here = np.maximum(padded[:, REACH - 1 : REACH - 1 + size], padded[:, REACH + 1 : REACH + 1 + size])
    narrow = row - beside > CANDIDATE_SIGMA * np.sqrt(2 * gain * np.maximum(beside, 1.0))
    return [(int(column), int(channel)) for column, channel in np.argwhere(narrow & (row >= highest_here))]


def _height_sigma(counts: NDArray[np.generic], row: int, column: int, channel: int, gain: float) -> float:
    """How far a peak stands above the median of its neighbour pixels; 0 where it is a peak that has moved."""
    channels = slice(max(channel - MOVED_REACH, 0), channel + MOVED_REACH + 1)
    at = channel - channels.start
    block = _finite(counts[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2, channels])
    here = _finite(counts[row, column, channels])
    centre = (row - max(row - 1, 0)) * block.shape[1] + column - max(column - 1, 0)
    neighbours = np.delete(block.reshape(-1, block.shape[2]), centre, axis=0)
    rest = np.ones(here.size, dtype=np.bool_)
    rest[max(at - 1, 0) : at + 2] = False
    brightness = neighbours[:, rest].sum(axis=1, keepdims=True)
    usable = brightness[:, 0] > 0
    if not usable.any():
        return 0.0
    expected = np.median(neighbours[usable] / brightness[usable], axis=0) * here[rest].sum()
    excess = here - expected
    if excess[rest].min() < -MOVED_SHARE * excess[at]:
        return 0.0
    return float(excess[at] / np.sqrt(gain * max(expected[at], 1.0)))


def _finite(counts: NDArray[np.generic]) -> FloatArray:
    return np.nan_to_num(counts.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
