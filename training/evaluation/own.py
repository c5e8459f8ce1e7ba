"""Given models on their own material: shifts put into a clean real map of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from monitor.core.axes import EnergyAxis
from monitor.core.noise import estimate_noise
from monitor.files.spectrum_image import SpectrumImage
from training.evaluation.baselines import baselines
from training.evaluation.candidate import Candidate
from training.evaluation.comparison import compare
from training.evaluation.method import fitted_there, of_candidate
from training.evaluation.results import Comparison
from training.evaluation.roll import (
    PAPER_HALF_WINDOW,
    PAPER_SHARE,
    PAPER_STEP_EV,
    SMOOTH_EV,
    chosen_pixels,
    roll_peak,
    strongest_feature,
)
from training.evaluation.trial import Trial

HALF_WINDOW_EV = PAPER_HALF_WINDOW * PAPER_STEP_EV
NEIGHBOURS_PX = 1.5
"""Standard deviation of the neighbourhood whose mean stands for a pixel's expectation."""
FloatArray = NDArray[np.floating]


def own_data(
    candidate: Candidate, image: SpectrumImage, *, name: str, shifts_ev: tuple[float, ...], seed: int, replicates: int
) -> list[Comparison]:
    """The model and some baselines on the map `image` with each shift, by the paper's roll and as a true one.

    Where a channel is wider than 1 eV the shifts and their window are that many times as wide: a shift by a small part
    of a channel is nothing that a spectrum could show. Empty where the map does not reach over the model's energy axis.
    """
    untouched = np.zeros(image.counts.shape[:2], dtype=bool)
    whole = Trial(counts=image.counts.astype(np.float32), truth=untouched, energy=image.energy)
    counts = whole.on(candidate.energy)
    if counts is None:
        return []
    clean = replace(whole, counts=counts, energy=candidate.energy)
    methods = [
        of_candidate(candidate, role="given", fit=""),
        *(fitted_there(each) for each in baselines(slow=False)),
    ]
    found = []
    ways: tuple[tuple[Literal["roll", "shift"], str], ...] = (("roll", "the paper's roll"), ("shift", "a true shift"))
    for how, title in ways:
        for shift_ev in (each * coarseness(candidate.energy) for each in shifts_ev):
            trials = [injected(clean, shift_ev, how=how, seed=seed + i) for i in range(replicates)]
            found.append(compare(f"{candidate.name} on {name}: {title} by {shift_ev:g} eV", trials, methods))
    return found


def coarseness(axis: EnergyAxis) -> float:
    """How many eV stand for one of the paper's."""
    return max(1.0, abs(axis.step_ev))


def injected(clean: Trial, shift_ev: float, *, how: Literal["roll", "shift"], seed: int) -> Trial:
    """The map with its strongest feature moved in 1.6 % of its single pixels, up or down at random."""
    rng = np.random.default_rng(seed)
    counts, step_ev = clean.counts.copy(), abs(clean.energy.step_ev)
    present = np.isfinite(counts.sum(-1))
    mask, sign = chosen_pixels(present, PAPER_SHARE, rng)
    half = max(round(HALF_WINDOW_EV * coarseness(clean.energy) / step_ev), 2)
    peak = strongest_feature(counts[present].mean(0), half)
    search = slice(max(peak - half, 0), min(peak + half + 1, counts.shape[-1]))
    if how == "roll":
        channels = sign * max(round(shift_ev / step_ev), 1)
        counts[mask] = roll_peak(counts[mask], channels, search=search, half=half, smooth=SMOOTH_EV / step_ev)
    else:
        normal = neighbourhood(np.where(present[..., None], counts, 0.0), present)[mask]
        changed = moved(normal, sign * shift_ev / step_ev, around=(search.start + search.stop) / 2, half=2 * half)
        counts[mask] = drawn_towards(counts[mask], normal, changed, estimate_noise(clean.counts).gain, rng)
    return replace(clean, counts=counts, truth=mask, seed=seed)


def neighbourhood(counts: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    """Mean shape of the spectra around each pixel, at its own total: what may be expected of it without a model."""
    weight = gaussian_filter(present.astype(np.float64), NEIGHBOURS_PX)
    near = gaussian_filter(counts.astype(np.float64), (NEIGHBOURS_PX, NEIGHBOURS_PX, 0)) / weight.clip(1e-6)[..., None]
    near = np.maximum(near, 0.0)
    total = np.maximum(near.sum(-1, keepdims=True), 1e-6)
    return near * np.maximum(counts.sum(-1, keepdims=True), 0.0) / total


def moved(spectra: FloatArray, channels: FloatArray, *, around: float, half: int) -> FloatArray:
    """Spectra (pixel, energy) with what stands above their line across the window `around` +/- `half` moved.

    The edge moves by `channels` (pixel,), interpolated; the line from one end of the window to the other stays, and
    so does all outside.
    """
    first = max(round(around) - half, 0)
    window = slice(first, min(round(around) + half + 1, spectra.shape[-1]))
    part = spectra[:, window]
    at = np.arange(part.shape[1], dtype=np.float64)
    line = part[:, :1] + (part[:, -1:] - part[:, :1]) * at / max(at[-1], 1.0)
    changed = spectra.copy()
    for row, above, base, far in zip(changed, part - line, line, channels, strict=True):
        row[window] = np.maximum(base + np.interp(at - far, at, above, left=0.0, right=0.0), 0.0)
    return changed


def drawn_towards(
    counts: FloatArray, normal: FloatArray, changed: FloatArray, gain: float, rng: np.random.Generator
) -> FloatArray:
    """Counts whose expectation is `changed` where it was `normal`, with the noise that such counts have.

    Electrons (counts over gain) are taken out one by one at random, or added as Poisson ones: exact for Poisson
    counts, without a fresh draw of those that stay.
    """
    keep = np.clip(changed / np.maximum(normal, 1e-6), 0.0, 1.0)
    electrons = np.maximum(np.rint(counts / gain), 0.0).astype(np.int64)
    lost = electrons - rng.binomial(electrons, keep)
    added = rng.poisson(np.maximum(changed - normal, 0.0) / gain)
    return (counts + gain * (added - lost)).astype(np.float32)
