"""The anomaly of the paper: a window round the strongest peak, rolled in a circle, and its told score.

Sultanov, Ayyubi, Buban and Klie, Small 2025, 21, e2503019. The roll wraps round, so that k and 41 - k channels are the
same anomaly up to its sign; a real edge that moves does not put back on one side what it takes from the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from monitor.core.axes import EnergyAxis

PAPER_SHIFTS_EV = (0.9, 2.4, 3.9, 5.4, 6.9, 8.4, 9.9, 11.4)
PAPER_STEP_EV = 0.3
PAPER_HALF_WINDOW = 20
PAPER_SHARE = 0.016
PAPER_WINDOW_EV = (693.0, 731.0)
"""Where the paper's score looks: it is told that iron is what moves."""
SMOOTH_EV = 0.9
FloatArray = NDArray[np.floating]


def paper_axis(channels: int = 1340) -> EnergyAxis:
    """The paper's energy axis."""
    return EnergyAxis(offset_ev=420.0, step_ev=PAPER_STEP_EV, size=channels)


def roll_peak(
    spectra: FloatArray, channels: NDArray[np.integer], *, search: slice, half: int, smooth: float
) -> FloatArray:
    """Spectra (pixel, energy) with the window of +/- `half` channels round their strongest peak rolled.

    `channels` (pixel,) says how far, negative to lower energies. The peak is the highest channel within `search` of the
    spectrum smoothed by a Gaussian of `smooth` channels. Windows that leave the axis are cut off.
    """
    first = search.start
    peaks = first + np.argmax(gaussian_filter1d(spectra.astype(np.float64), smooth, axis=-1)[:, search], axis=-1)
    rolled = spectra.copy()
    for spectrum, peak, far in zip(rolled, peaks, channels, strict=True):
        window = slice(max(int(peak) - half, 0), int(peak) + half + 1)
        spectrum[window] = np.roll(spectrum[window], int(far))
    return rolled


def chosen_pixels(
    where: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """A mask (row, column) of the share `share` of the pixels `where`, at least one, and a sign for each of them."""
    at = np.flatnonzero(where)
    mask = np.zeros(where.size, dtype=bool)
    mask[rng.choice(at, size=max(round(share * at.size), 1), replace=False)] = True
    return mask.reshape(where.shape), rng.choice(np.array([-1, 1]), size=int(mask.sum()))


def told_score(counts: FloatArray, rebuilt: FloatArray, channels: slice) -> FloatArray:
    """The paper's score: 1 less the correlation of input and reconstruction (..., energy) within `channels`."""
    a, b = (x[..., channels] - x[..., channels].mean(-1, keepdims=True) for x in (counts, rebuilt))
    norm = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    return 1 - (a * b).sum(-1) / np.maximum(norm, 1e-12)


def strongest_feature(mean: FloatArray, half: int) -> int:
    """The channel of a spectrum (energy,) that stands highest above its surroundings of +/- `half` channels.

    In standard deviations of its counts, after the fall of the background: an edge need not be a peak. What is nearer
    than `half` to an end of the axis counts only where all is.
    """
    at = np.arange(mean.size)
    level = np.log(np.maximum(mean.astype(np.float64), 1e-3 * mean.max()))
    level -= np.polyval(np.polyfit(at, level, 2), at)
    above = gaussian_filter1d(level, 1.0) - gaussian_filter1d(level, half)
    inside = slice(half, -half) if mean.size > 2 * half else slice(None)
    return int(at[inside][np.argmax((above * np.sqrt(np.maximum(mean, 0.0)))[inside])])
