"""What can be said of a map before anything is learned from it: counts, noise, spikes, bad channels, warnings."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis
from monitor.core.errors import DataError
from monitor.core.noise import DARK, NoiseEstimate, estimate_noise
from monitor.core.spikes import find_spikes

FloatArray = NDArray[np.float64]

FEW_COUNTS = 1e4
FEW_PIXELS = 400
HOT = 3.0
"""A channel this many times above, or below, both its neighbours is the detector's doing."""
SURE_SIGMA = 8.0
ZERO_LOSS_WITHIN_EV = 15.0
ZERO_LOSS_OVER_MEDIAN = 20.0


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Finite counts only, but for `non_finite`, the number of the others. `dark_pixels` are vacuum or blanked."""

    total: float
    median_per_pixel: float
    lowest: float
    highest: float
    negative: int
    non_finite: int
    saturated: int
    dark_pixels: int


class SpikeFound(msgspec.Struct, frozen=True, kw_only=True):
    row: int
    column: int
    channel: int
    energy_ev: float
    height_sigma: float


class BadChannel(msgspec.Struct, frozen=True, kw_only=True):
    """`fault` is "constant" (the same in every pixel), "hot" or "cold" (far from both neighbours)."""

    channel: int
    energy_ev: float
    fault: str


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """`zero_loss_ev` is the lowest and highest place of the zero-loss peak, where the map holds one."""

    counts: Counts
    noise: NoiseEstimate | None
    spikes: list[SpikeFound]
    bad_channels: list[BadChannel]
    zero_loss_ev: tuple[float, float] | None


def inspect_counts(counts: NDArray[np.generic], energy: EnergyAxis) -> Inspection:
    """Everything that `counts` (row, column, energy) tell by themselves. Looks at one row at a time."""
    try:
        noise = estimate_noise(counts)
    except DataError:
        noise = None
    spikes = find_spikes(counts, noise) if noise is not None else []
    spectra = _RowByRow.of(counts)
    return Inspection(
        counts=_counts(counts, spectra),
        noise=noise,
        spikes=[
            SpikeFound(
                row=spike.row,
                column=spike.column,
                channel=spike.channel,
                energy_ev=float(energy.at(spike.channel)),
                height_sigma=spike.height_sigma,
            )
            for spike in spikes
        ],
        bad_channels=_bad_channels(spectra, energy, noise.gain if noise is not None else 1.0),
        zero_loss_ev=_zero_loss_ev(counts, spectra.mean, energy),
    )


class _RowByRow(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over a map gathered a row at a time: `per_pixel` (row, column); the others (channel,)."""

    per_pixel: FloatArray
    mean: FloatArray
    lowest: FloatArray
    highest: FloatArray
    non_finite: int
    negative: int

    @staticmethod
    def of(counts: NDArray[np.generic]) -> _RowByRow:
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
        return _RowByRow(
            per_pixel=per_pixel,
            mean=total / np.maximum(seen, 1),
            lowest=lowest,
            highest=highest,
            non_finite=int(counts.size - seen.sum()),
            negative=negative,
        )


def _counts(counts: NDArray[np.generic], spectra: _RowByRow) -> Counts:
    median = float(np.median(spectra.per_pixel))
    lowest, highest = float(spectra.lowest.min()), float(spectra.highest.max())
    saturated = 0
    if counts.dtype.kind in "ui" and highest == np.iinfo(counts.dtype.name).max:
        saturated = int((counts == highest).sum())
    return Counts(
        total=float(spectra.per_pixel.sum()),
        median_per_pixel=median,
        lowest=lowest if np.isfinite(lowest) else float("nan"),
        highest=highest if np.isfinite(highest) else float("nan"),
        negative=spectra.negative,
        non_finite=spectra.non_finite,
        saturated=saturated,
        dark_pixels=int((spectra.per_pixel <= DARK * median).sum()),
    )


def _bad_channels(spectra: _RowByRow, energy: EnergyAxis, gain: float) -> list[BadChannel]:
    constant = spectra.lowest == spectra.highest
    if constant.all() or spectra.per_pixel.size < 2:
        return []  # one pixel, or a map that says nothing: no channel is worse than the others
    below = np.minimum(np.roll(spectra.mean, 1), np.roll(spectra.mean, -1))[1:-1]
    above = np.maximum(np.roll(spectra.mean, 1), np.roll(spectra.mean, -1))[1:-1]
    middle = spectra.mean[1:-1]
    hot, cold = np.zeros_like(constant), np.zeros_like(constant)
    surely = SURE_SIGMA * np.sqrt(gain * np.maximum(above, 1.0) / spectra.per_pixel.size)
    hot[1:-1] = (middle > HOT * above) & (middle - above > surely)
    cold[1:-1] = (middle < below / HOT) & (below - middle > surely)
    return [
        BadChannel(
            channel=int(channel),
            energy_ev=float(energy.at(int(channel))),
            fault="constant" if constant[channel] else "hot" if hot[channel] else "cold",
        )
        for channel in np.flatnonzero(constant | hot | cold)
    ]


def _zero_loss_ev(counts: NDArray[np.generic], mean: FloatArray, energy: EnergyAxis) -> tuple[float, float] | None:
    near = energy.window(-ZERO_LOSS_WITHIN_EV, ZERO_LOSS_WITHIN_EV)
    if near.stop <= near.start or energy.lo_ev > 0 or mean[near].max() != mean.max():
        return None
    if mean.max() < ZERO_LOSS_OVER_MEDIAN * abs(float(np.median(mean))):
        return None
    places = energy.at(near.start + np.argmax(np.nan_to_num(counts[:, :, near].astype(np.float64)), axis=2))
    return float(places.min()), float(places.max())
