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
from training.data import Role, TrainingMap
from training.scoring import HALO_ROWS, Scores, ScoringGraph

STRIP_ROWS = 16
KNOTS = 200
STANDARDISE_PIXELS = 20_000
SHAPE_LIMITS = (0.0, 0.5)
"""Of the Pareto tail: 0 decays exponentially, 0.5 is heavier than clean maps have shown."""
OUTLIER_P = 1e-2
"""A score is left out as an anomaly where an exponential tail expects fewer than this many such pixels in all."""


@torch.no_grad()
def standardise(graph: ScoringGraph, maps: Sequence[TrainingMap]) -> None:
    """Set the bank's noise and misfit from the pixels that are neither missing nor held for calibration."""
    graph.eval()
    evidence, totals = [], []
    share = min(1.0, STANDARDISE_PIXELS / max(sum(m.role.size for m in maps), 1))
    dice = torch.Generator().manual_seed(0)
    for item in maps:
        for rows, counts in strips(item.counts):
            role = torch.from_numpy(item.role[rows.start : rows.stop])
            core = slice(rows.start - rows.halo_start, rows.stop - rows.halo_start)
            coarse, valid = graph.effective(counts)
            z, _, total, _ = graph.evidence(coarse, valid)
            used = ((role == Role.TRAIN) | (role == Role.VALIDATE)) & (torch.rand(role.shape, generator=dice) < share)
            used = used.to(total.device)
            evidence.append(torch.cat([family[0, core][used] for family in z], -1).cpu())
            totals.append(total[0, core][used].cpu())
    z, total = torch.cat(evidence), torch.cat(totals)[:, 0]
    bright = total > 0.05 * total.median()
    z, total = z[bright], total[bright]
    spread = _spread(z) ** 2
    graph.reference_total.copy_(total.median())
    graph.bank.noise.copy_(spread.clamp_max(1.0))
    graph.bank.misfit.copy_((spread - 1.0).clamp_min(0.0))


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
    """Fit the p-values on the calibration blocks of `maps`."""
    scores, totals = [], []
    for item in maps:
        held = item.role == Role.CALIBRATE
        scores.append(score_map(graph, item.counts).score.numpy()[held])
        totals.append(item.counts[held].sum(-1))
    return fit_calibration(np.concatenate(scores), np.concatenate(totals))


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
    """Ascending scores less those far beyond an exponential tail through the median and the 90th percentile."""
    middle, upper = np.quantile(s, (0.5, 0.9))
    decay = max((upper - middle) / np.log(5.0), 1e-9)
    limit = middle + decay * np.log(0.5 * s.size / OUTLIER_P)
    return s[s <= limit]


def _pareto_scale(excess: NDArray[np.floating], shape: float) -> float:
    """Scale of a Pareto tail of known shape with the mean of `excess`."""
    return max(float(excess.mean()) * (1 - shape) if excess.size else 0.1, 1e-6)
