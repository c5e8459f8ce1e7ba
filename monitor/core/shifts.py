"""How far a spectrum is moved in energy against what was expected, with its standard error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis

HALF_WINDOW_EV = 15.0
LARGEST_SHIFT_EV = 8.0
TRIALS_PER_EV = 20
LEAST_GAIN_IN_CHI2 = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A move towards higher energy (positive) or lower (negative), in eV, and its standard error."""

    shift_ev: float
    error_ev: float


def fit_shift(
    counts: NDArray[Any], expected: NDArray[Any], *, axis: EnergyAxis, near_ev: float, noise_gain: float
) -> Shift | None:
    """Fit counts (energy,) around `near_ev` by the expected spectrum, moved and scaled.

    Variance is noise_gain x expected. None where a move explains the counts no better (chi2 lower by 9) than none does.
    """
    window = axis.window(near_ev - HALF_WINDOW_EV, near_ev + HALF_WINDOW_EV)
    y, energies_ev = np.asarray(counts[window], np.float64), axis.energies_ev()
    if y.size < 5:
        return None
    variance = noise_gain * np.maximum(expected[window], 1.0)
    ascending = np.argsort(energies_ev)
    trials_ev = np.linspace(
        -LARGEST_SHIFT_EV, LARGEST_SHIFT_EV, int(2 * LARGEST_SHIFT_EV * TRIALS_PER_EV) + 1, dtype=np.float64
    )
    moved = np.interp(
        energies_ev[window] - trials_ev[:, None], energies_ev[ascending], np.asarray(expected, np.float64)[ascending]
    )
    scale = (moved * y / variance).sum(1) / np.maximum((moved**2 / variance).sum(1), 1e-12)
    chi2 = ((y - scale[:, None] * moved) ** 2 / variance).sum(1)
    best, none = int(np.argmin(chi2)), trials_ev.size // 2
    if best in (0, trials_ev.size - 1) or chi2[none] - chi2[best] < LEAST_GAIN_IN_CHI2:
        return None
    curvature = (chi2[best - 1] - 2 * chi2[best] + chi2[best + 1]) * TRIALS_PER_EV**2 / 2
    return Shift(shift_ev=float(trials_ev[best]), error_ev=float(1 / np.sqrt(max(curvature, 1e-12))))
