"""What a score is worth as a p-value: the clean pixels of the training maps say what is usual.

It takes all of them to tell: a fifth of a map holds two of a thousandth. Blocks that neither the network nor the bank
has seen say whether the others lie closer, as those of too small a map do. Trimmed tails throughout, because the map
may hold the very anomalies that are to be found.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import genpareto
from torch import Tensor

from monitor.core.calibration import Calibration, Tail
from monitor.core.errors import DataError
from training.data import Role
from training.levels import DOSES
from training.scoring import Scores, ScoringGraph, score_of
from training.standardise import FEWEST, CleanMaps, seen_at
from training.strips import strips

HELD_OUT, LEARNED_FROM, SUSPECT = (Role.CALIBRATE,), (Role.TRAIN, Role.VALIDATE), (Role.SUSPECT,)
KNOTS = 200
SHAPE_LIMITS = (-0.07, 0.1)
"""Of the Pareto tail. Near z standard deviations the largest of many Gaussian deviates has about -1 / z^2 (Leadbetter,
Lindgren and Rootzen, 1983); what is heavier than 0.1 is left to anomalies."""
TAILS = ((2000, 0.04), (300, 0.1), (0, 0.2))
"""From how many pixels on which share of the scores is the tail. Pixels that neighbours lift (`training.bank`) pile up
at p = .04: a tail that held them was told too short."""
MISTAKEN = 0.2
"""Of the scores that are left out as anomalies, the share that the bulk leads one to expect so far out anyway."""
RARE = 0.005
"""Share of the scores that may stand far from all others in a clean map."""
BROUGHT_OUT = 1.2
"""How many times wider clean scores spread at the highest dose than sums of pixels show: those smooth over places a
pixel wide that the network knows least, dose brings them out."""
CHANCE = 0.2
"""How much wider, as a logarithm, the pixels held out may be by chance: three times what eight trainings differed by
(.07), though all pixels of new maps were within .01 +/- .02 of those learned from."""
FEW = 0.95
"""Quantile beyond which the mean of clean scores of more and of less dose is brought to that of the usual dose."""


def score_map(graph: ScoringGraph, counts: NDArray[np.float32]) -> Scores:
    """Score a whole map (row, column, energy) strip by strip; outputs on the CPU, (row, column, ...)."""
    return Scores(*said_of_map(graph, counts, lambda scores: scores))


@torch.no_grad()
def said_of_map(
    graph: ScoringGraph, counts: NDArray[np.float32], take: Callable[[Scores], tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """What `take` keeps of the scores of a map, as in `score_map`."""
    graph.eval()
    parts: list[tuple[Tensor, ...]] = []
    for strip in strips(len(counts), graph.halo_rows, counts.shape[1] * graph.architecture.coarse):
        tensor = torch.from_numpy(counts[strip.halo])[None].to(graph.gain.device)
        parts.append(tuple(output[0, strip.inner].cpu() for output in take(graph(tensor))))
    return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))


@torch.no_grad()
def calibrate(graph: ScoringGraph, clean: CleanMaps) -> tuple[Calibration, int]:
    """The p-values of clean pixels of the maps, labelled ones left out, at each of the bank's doses.

    Suspects are judged again; what is beside them shows what they are, and says nothing of clean pixels. Also how many
    scores stand far from all others and were left out. Raises DataError where none is held out.
    """
    graph.eval()
    held, total = seen_at(graph, clean, 1.0, graph.levelled, HELD_OUT)
    if not len(held):
        raise DataError("all pixels held out for calibration are vacuum, saturated or spikes; choose another region")
    learned, more = seen_at(graph, clean, 1.0, graph.levelled, LEARNED_FROM)
    usual = torch.cat((held, widened(learned, held)))
    totals = [total, more]
    middle, spread = _reach(usual)
    for row, dose in enumerate(DOSES):
        if dose == 1.0:
            continue
        found, total = seen_at(graph, clean, dose, graph.levelled, (*HELD_OUT, *LEARNED_FROM))
        totals.append(total)
        if len(found) >= FEWEST:
            own_middle, own_spread = _reach(found)
            stretch = own_spread / spread * (BROUGHT_OUT if dose == DOSES[-1] else 1.0)
            graph.bank.levels.align(row, own_middle - middle * stretch, stretch)
    every = torch.cat((usual, seen_at(graph, clean, 1.0, graph.levelled, SUSPECT)[0]))
    calibration = fit_calibration(score_of(every).numpy(), torch.cat(totals).numpy() * float(graph.gain))
    return calibration, len(every) - calibration.pixels


def widened(learned: Tensor, held: Tensor) -> Tensor:
    """Levelled strengths (pixel,) of pixels learned from, spread as wide as those held out say that new ones are.

    Those lie in few blocks, whose texture is theirs: a difference counts the less, the less it is told from that.
    """
    if len(learned) < FEWEST or len(held) < FEWEST:
        return learned
    (middle, spread), (_, spread_held) = _reach(learned), _reach(held)
    wider = max(math.log(spread_held / spread), 0.0)
    told = wider**2 / (wider**2 + CHANCE**2)
    return (learned - middle) * math.exp(wider * told) + middle


def _reach(levelled: Tensor) -> tuple[float, float]:
    """The middle of clean pixels and how far beyond it few of them are."""
    kept = without_anomalies(np.sort(levelled.double().numpy()))
    middle, far = np.quantile(kept, (0.5, FEW))
    high = kept[kept >= far].mean()
    return float(middle), max(float(high - middle), 1e-3)


def fit_calibration(score: NDArray[np.floating], counts: NDArray[np.floating]) -> Calibration:
    """Conformal p-values of clean scores (pixel,), a generalised Pareto beyond them; `counts` (pixel,) are totals."""
    s = without_anomalies(np.sort(score.astype(np.float64)))
    n = s.size
    tail_share = next(share for least, share in TAILS if n >= least)
    p = (n - np.arange(n)) / (n + 1.0)
    first = min(int(np.ceil(n * (1 - tail_share))), n - 1)
    threshold, p_at = s[first], p[first]
    excess = s[first:] - threshold
    excess = excess[excess > 0]
    if n < score.size:  # weaker anomalies are left among the largest: an exponential with their median
        shape, scale = 0.0, max(float(np.median(excess) / np.log(2.0)), 1e-6) if excess.size else 0.1
    else:
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
    """Ascending scores less those that the decay of the bulk does not lead to (Benjamini and Hochberg, 1995).

    Clean scores fall off at least exponentially; the decay is read between the 75th and the 90th percentile of those
    that are clean, again until nothing more is left out. Where very few would be, all are kept: a rare but normal place
    looks the same.
    """
    beyond = np.arange(s.size, 0, -1)
    left = s
    while True:
        clean = round(left.size + MISTAKEN * (s.size - left.size))
        lower, upper = np.quantile(s[:clean], (0.75, 0.9))
        decay = max((upper - lower) / np.log(2.5), 1e-9)
        far = (s - upper) / decay > np.log(np.maximum(0.1 * clean / (MISTAKEN * beyond), 1.0))
        kept = s[: int(np.argmax(far))] if far.any() else s
        if kept.size >= left.size:
            return left if left.size < (1 - RARE) * s.size else s
        left = kept


def _pareto_scale(excess: NDArray[np.floating], shape: float) -> float:
    """Scale of a Pareto tail of known shape with the mean of `excess`."""
    return max(float(excess.mean()) * (1 - shape) if excess.size else 0.1, 1e-6)
