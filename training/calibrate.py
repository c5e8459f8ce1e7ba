"""After training: what clean pixels show the filter bank, and what a score is worth as a p-value.

The bank is standardised on pixels outside the calibration blocks, the p-values come from inside them; medians and
trimmed tails throughout, because the map may hold the very anomalies that are to be found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import genpareto
from torch import Tensor

from monitor.core.calibration import Calibration, Tail
from monitor.core.errors import DataError
from training.data import Role, TrainingMap
from training.labels import VACUUM_SHARE
from training.scoring import HALO_ROWS, Scores, ScoringGraph

STRIP_ROWS = 16
KNOTS = 200
STANDARDISE_PIXELS = 20_000
SHAPE_LIMITS = (0.0, 0.2)
"""Of the Pareto tail: 0 decays exponentially, 0.2 is heavier than clean maps have shown; more is left to anomalies."""
THINNED = 0.25
LEVEL = 0.9
"""Share of the clean pixels whose largest evidence of a family is below the family's level."""
OUTLIERS = 0.1
"""A score is left out as an anomaly where the bulk leads one to expect fewer than this many pixels beyond it in all."""


@torch.no_grad()
def standardise(graph: ScoringGraph, maps: Sequence[TrainingMap]) -> None:
    """Set the bank's noise and misfit from the pixels that are neither missing nor held for calibration.

    The evidence is looked at twice, at the dose of the maps and thinned to `THINNED` of it: what grows with the dose
    comes of wrong expectations, the rest of counting.
    """
    graph.eval()
    full, totals = _clean_evidence(graph, maps, 1.0)
    thin, _ = _clean_evidence(graph, maps, THINNED)
    at_full, at_thin = _spread(full) ** 2, _spread(thin) ** 2
    misfit = ((at_full - at_thin) / (1.0 - THINNED)).clamp_min(0.0)
    misfit = torch.minimum(misfit, 0.95 * at_full)
    graph.reference_total.copy_(totals.median())
    bank = graph.bank
    bank.set_spread(at_full - misfit, misfit)
    bank.level.fill_(1.0)
    z = bank.standardised(tuple(full.to(misfit).split(bank.sizes, -1)), (totals / totals.median())[:, None])
    largest = torch.stack([family.amax(-1).quantile(LEVEL) for family in bank.strength(z)])
    bank.level.copy_(largest / largest.mean())


def _clean_evidence(graph: ScoringGraph, maps: Sequence[TrainingMap], dose: float) -> tuple[Tensor, Tensor]:
    """Evidence (pixel, filter) and totals (pixel,) at a share `dose` of the counts, vacuum left out."""
    evidence, totals = [], []
    share = min(1.0, STANDARDISE_PIXELS / max(sum(m.role.size for m in maps), 1))
    dice = torch.Generator().manual_seed(0)
    for item in maps:
        for strip, counts in strips(item.counts):
            role = torch.from_numpy(item.role[strip.start : strip.stop])
            used = ((role == Role.TRAIN) | (role == Role.VALIDATE)) & (torch.rand(role.shape, generator=dice) < share)
            coarse, valid = graph.effective(counts.to(graph.gain.device))
            if dose < 1.0:
                coarse = _thinned(coarse, dose, dice)
            found, _, total, _ = graph.evidence(coarse, valid)
            core = slice(strip.start - strip.halo_start, strip.stop - strip.halo_start)
            mask = used.to(total.device)
            evidence.append(torch.cat([family[0, core][mask] for family in found.raw], -1).cpu())
            totals.append(total[0, core][mask].cpu()[:, 0])
    z, total = torch.cat(evidence), torch.cat(totals)
    bright = total > VACUUM_SHARE * total.median()
    return z[bright], total[bright]


def _thinned(coarse: Tensor, dose: float, dice: torch.Generator) -> Tensor:
    """Effective counts as a share `dose` of the dose would have given them: mean and variance both `dose` times theirs.

    By a normal deviate rather than a binomial one, because counts over gain are no integers.
    """
    spread = (coarse.clamp_min(0.0) * dose * (1.0 - dose)).sqrt()
    return coarse * dose + spread * torch.randn(coarse.shape, generator=dice).to(coarse.device)


def _spread(z: Tensor) -> Tensor:
    """Standard deviation of clean evidence (pixel, filter): the wider of the middle half and the middle nine tenths."""
    half = z.abs().median(0).values * 1.4826
    low, high = (z.kthvalue(max(int(q * len(z)), 1), 0).values for q in (0.05, 0.95))
    return torch.maximum(half, (high - low) / 3.29).clamp_min(0.1)


class Strip:
    """Core rows start..stop of a map and where their halo begins."""

    __slots__ = ("halo_start", "start", "stop")

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop, self.halo_start = start, stop, max(start - HALO_ROWS, 0)


def strips(counts: NDArray[np.float32], rows: int = STRIP_ROWS) -> Iterator[tuple[Strip, Tensor]]:
    """Cut a map (row, column, energy) into strips with their halo, as (1, row, column, energy) tensors."""
    for start in range(0, len(counts), rows):
        strip = Strip(start, min(start + rows, len(counts)))
        yield strip, torch.from_numpy(counts[strip.halo_start : strip.stop + HALO_ROWS])[None]


@torch.no_grad()
def score_map(graph: ScoringGraph, counts: NDArray[np.float32]) -> Scores:
    """Score a whole map (row, column, energy) strip by strip; outputs on the CPU, (row, column, ...)."""
    graph.eval()
    parts: list[Scores] = []
    for strip, tensor in strips(counts):
        core = slice(strip.start - strip.halo_start, strip.stop - strip.halo_start)
        parts.append(Scores(*(output[0, core].cpu() for output in graph(tensor.to(graph.gain.device)))))
    return Scores(*(torch.cat(outputs) for outputs in zip(*parts, strict=True)))


def calibrate(graph: ScoringGraph, maps: Sequence[TrainingMap]) -> Calibration:
    """Fit the p-values on the calibration blocks of `maps`, labelled pixels left out.

    Raises DataError where none is left.
    """
    scores, totals = [], []
    for item in maps:
        said = score_map(graph, item.counts)
        held = (item.role == Role.CALIBRATE) & (said.label.numpy() == 0)
        scores.append(said.score.numpy()[held])
        totals.append(item.counts[held].sum(-1))
    clean = np.concatenate(scores)
    if not clean.size:
        raise DataError("all pixels held out for calibration are vacuum, saturated or spikes; choose another region")
    return fit_calibration(clean, np.concatenate(totals))


def fit_calibration(score: NDArray[np.floating], counts: NDArray[np.floating]) -> Calibration:
    """Conformal p-values of clean scores (pixel,), a generalised Pareto beyond them; `counts` (pixel,) are totals."""
    s = without_anomalies(np.sort(score.astype(np.float64)))
    n = s.size
    tail_share = 0.1 if n >= 300 else 0.2
    p = (n - np.arange(n)) / (n + 1.0)
    first = min(int(np.ceil(n * (1 - tail_share))), n - 1)
    threshold, p_at = s[first], p[first]
    excess = s[first:] - threshold
    excess = excess[excess > 0]
    shape = float(np.clip(genpareto.fit(excess, floc=0)[0], *SHAPE_LIMITS)) if excess.size >= 30 else 0.1
    scale = _pareto_scale(excess, shape)
    pick = np.unique(np.linspace(0, first, min(KNOTS, first + 1)).round().astype(int))
    knots = [float(v) for v in s[pick]]
    knots_p = [1.0, *(float(v) for v in p[pick][1:])]
    low, high = np.quantile(counts, (0.005, 0.995))
    return Calibration(
        pixels=n,
        counts_per_pixel=(float(low), float(high)),
        knots_score=knots,
        knots_p=knots_p,
        tail=Tail(threshold=float(threshold), p_at_threshold=float(p_at), shape=shape, scale=scale),
    )


def without_anomalies(s: NDArray[np.floating]) -> NDArray[np.floating]:
    """Ascending scores less those that the decay of the bulk does not lead to.

    Clean scores fall off at least exponentially; the decay is read between the 75th and the 90th percentile, again
    until nothing more is left out.
    """
    while True:
        lower, upper = np.quantile(s, (0.75, 0.9))
        decay = max((upper - lower) / np.log(2.5), 1e-9)
        kept = s[s <= upper + decay * np.log(max(0.1 * s.size / OUTLIERS, 1.0))]
        if kept.size == s.size:
            return s
        s = kept


def _pareto_scale(excess: NDArray[np.floating], shape: float) -> float:
    """Scale of a Pareto tail of known shape with the mean of `excess`."""
    return max(float(excess.mean()) * (1 - shape) if excess.size else 0.1, 1e-6)
