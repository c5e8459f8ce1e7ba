"""What can be said of a map before anything is learned from it: counts, noise, spikes, bad channels, warnings."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis
from monitor.core.bad_channels import bad_channels
from monitor.core.errors import DataError
from monitor.core.map_sums import MapSums
from monitor.core.noise import NoiseEstimate
from monitor.core.noise_fit import fit_noise
from monitor.core.noise_spectra import DARK
from monitor.core.spikes import find_spikes

FloatArray = NDArray[np.float64]

FEW_COUNTS = 1e4
FEW_PIXELS = 400
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
    """`fault` as in `monitor.core.bad_channels`: "constant", "hot", "cold", "noisy" or "quiet"."""

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
        fit = fit_noise(counts)
    except DataError:
        fit = None
    noise = NoiseEstimate.of(fit) if fit is not None else None
    spikes = find_spikes(counts, noise) if noise is not None else []
    spectra = MapSums.of(counts)
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
        bad_channels=[
            BadChannel(channel=bad.channel, energy_ev=float(energy.at(bad.channel)), fault=bad.fault)
            for bad in bad_channels(spectra, fit)
        ],
        zero_loss_ev=_zero_loss_ev(counts, spectra.mean, energy),
    )


def _counts(counts: NDArray[np.generic], spectra: MapSums) -> Counts:
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


def _zero_loss_ev(counts: NDArray[np.generic], mean: FloatArray, energy: EnergyAxis) -> tuple[float, float] | None:
    near = energy.window(-ZERO_LOSS_WITHIN_EV, ZERO_LOSS_WITHIN_EV)
    if near.stop <= near.start or energy.lo_ev > 0 or mean[near].max() != mean.max():
        return None
    if mean.max() < ZERO_LOSS_OVER_MEDIAN * abs(float(np.median(mean))):
        return None
    places = energy.at(near.start + np.argmax(np.nan_to_num(counts[:, :, near].astype(np.float64)), axis=2))
    return float(places.min()), float(places.max())
