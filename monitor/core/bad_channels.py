"""Channels that tell of the detector and not of the specimen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monitor.core.errors import DataError
from monitor.core.map_sums import MapSums
from monitor.core.noise import NoiseEstimate
from monitor.core.noise_fit import NoiseFit, fit_noise

FloatArray = NDArray[np.float64]
Fault = Literal["constant", "hot", "cold", "noisy", "quiet"]

HOT = 3.0
"""A channel this many times above, or below, both its neighbours is the detector's doing."""
SURE_SIGMA = 8.0
NOISY, QUIET = 1.5, 0.6
"""Variance over that of the noise model, and over that of both neighbours: an edge that moves is never so narrow."""
SURE_SPREADS = 6.0
LEAST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class BadChannel:
    """`fault` is "constant" (the same in every pixel), or that the channel stands far from both neighbours.

    "hot", "cold": by its mean. "noisy", "quiet": by its noise, which is also far from the model's; a dead channel that
    was filled in from its neighbours is quiet.
    """

    channel: int
    fault: Fault


def find_bad_channels(counts: NDArray[np.generic]) -> list[BadChannel]:
    """The bad channels of a map (row, column, energy), in order."""
    try:
        fit = fit_noise(counts)
    except DataError:
        fit = None
    return bad_channels(MapSums.of(counts), fit)


def bad_channels(sums: MapSums, fit: NoiseFit | None) -> list[BadChannel]:
    """The bad channels of a map of which the sums and, where it could be made, the fit of the noise are known."""
    constant = sums.lowest == sums.highest
    if constant.all() or sums.per_pixel.size < 2:
        return []  # one pixel, or a map that says nothing: no channel is worse than the others
    below, above = _beside(sums.mean)
    noise = NoiseEstimate.of(fit) if fit is not None else NoiseEstimate(gain=1.0, channel_correlation=0.0, components=0)
    surely = SURE_SIGMA * np.sqrt(noise.variance(np.maximum(above, 1.0)) / sums.per_pixel.size)
    faults: list[tuple[Fault, NDArray[np.bool_]]] = [
        ("constant", constant),
        ("hot", (sums.mean > HOT * above) & (sums.mean - above > surely)),
        ("cold", (sums.mean < below / HOT) & (below - sums.mean > surely)),
    ]
    if fit is not None:
        noisy, quiet = _off_the_model(fit.ratio)
        faults.append(("noisy", noisy))
        faults.append(("quiet", quiet))
    found: dict[int, Fault] = {}
    for fault, channels in faults:
        for channel in np.flatnonzero(channels):
            found.setdefault(int(channel), fault)
    return [BadChannel(channel=channel, fault=found[channel]) for channel in sorted(found)]


def _off_the_model(ratio: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Channels too noisy and too quiet for the model, by their measured over modelled variance (channel,)."""
    known = ratio[np.isfinite(ratio)]
    if not known.size:
        return np.zeros(ratio.shape, np.bool_), np.zeros(ratio.shape, np.bool_)
    sure = SURE_SPREADS * max(1.4826 * float(np.median(np.abs(known - np.median(known)))), LEAST_SPREAD)
    below, above = _beside(np.where(np.isfinite(ratio), ratio, 1.0))
    untold = np.convolve(np.isnan(ratio), [1, 0, 1], mode="same") > 0  # beside a channel that an edge has to itself
    noisy = (ratio > NOISY * np.maximum(above, 1.0)) & (ratio > 1 + sure) & (~untold | np.isinf(ratio))
    quiet = (ratio < QUIET * np.minimum(below, 1.0)) & (ratio < 1 - min(sure, 1 - QUIET))
    return noisy, quiet


def _beside(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The lower and the higher neighbour of each channel (channel,); the first and the last have but themselves."""
    before, after = np.roll(values, 1), np.roll(values, -1)
    before[0], after[0] = values[0], values[0]
    before[-1], after[-1] = values[-1], values[-1]
    return np.minimum(before, after), np.maximum(before, after)
