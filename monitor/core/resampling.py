"""Counts moved from one energy axis to another, conserving them: each channel's counts spread evenly over its width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis

SAME_AXIS_CHANNELS = 0.01
"""Axes that agree to this share of a channel everywhere are one: no resampling, no smoothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampler:
    """Takes counts [..., source.size] to float32 [..., target.size].

    `channels` is a plain selection where the channels of both axes coincide, else the overlap [source, target].
    """

    channels: slice | NDArray[np.float32]

    def __call__(self, counts: NDArray[Any]) -> NDArray[np.float32]:
        """Resample; NaN channels make the channels they touch NaN. Always returns a new C-order array."""
        if isinstance(self.channels, slice):
            return np.array(counts[..., self.channels], dtype=np.float32, order="C")
        return np.matmul(np.asarray(counts, dtype=np.float32), self.channels)


def resampler(source: EnergyAxis, target: EnergyAxis) -> Resampler | None:
    """Plan the way from `source` to `target`; None where `source` does not cover it.

    Covering means that the centre of every target channel lies inside the source's range; a target channel that sticks
    out by less than half its width is scaled up by the part that is missing.
    """
    tolerance = 1e-6 * abs(target.step_ev)
    centres = target.energies_ev()
    if centres.min() < source.lo_ev - tolerance or centres.max() > source.hi_ev + tolerance:
        return None
    first = (target.offset_ev - source.offset_ev) / source.step_ev
    last = (target.offset_ev + (target.size - 1) * target.step_ev - source.offset_ev) / source.step_ev
    start = round(first)
    if max(abs(first - start), abs(last - (start + target.size - 1))) < SAME_AXIS_CHANNELS:
        return Resampler(channels=slice(start, start + target.size))
    low, high = _edges(source)
    target_low, target_high = _edges(target)
    shared = np.minimum(high[:, None], target_high) - np.maximum(low[:, None], target_low)
    shared = np.maximum(shared, 0.0)
    covered = shared.sum(0) / abs(target.step_ev)
    overlap = shared / abs(source.step_ev) / np.where(covered > 0, covered, 1.0)
    return Resampler(channels=overlap.astype(np.float32))


def _edges(axis: EnergyAxis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centres, half = axis.energies_ev(), abs(axis.step_ev) / 2
    return centres - half, centres + half
