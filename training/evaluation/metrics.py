"""Numbers that say how well a score tells anomalous pixels from clean ones.

Neighbouring pixels are no independent witnesses, so intervals take square blocks of pixels as the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import genpareto, kurtosis, rankdata, skew, t

from training.evaluation.results import Figure

BLOCK_PX = 8
RESAMPLES = 200
TAIL_SHARE, LEAST_TAIL, SMALLEST_P = 0.02, 30, 1e-30
CURVE_AT = np.unique(np.concatenate((np.geomspace(1e-4, 1.0, 41), [1e-3])))
FloatArray = NDArray[np.floating]


class Pooled(NamedTuple):
    """Pixels of all replicates: `truth`, `score` and the `block` each lies in, all (pixel,)."""

    truth: NDArray[np.bool_]
    score: FloatArray
    block: NDArray[np.int64]


def pooled(truths: Sequence[NDArray[np.bool_]], scores: Sequence[FloatArray]) -> Pooled:
    """Pool maps (row, column); pixels without a finite score do not count."""
    parts, first = [], 0
    for truth, score in zip(truths, scores, strict=True):
        row, column = np.indices(truth.shape) // BLOCK_PX
        block = first + row * (truth.shape[1] // BLOCK_PX + 1) + column
        first = int(block.max()) + 1
        there = np.isfinite(score)
        parts.append((truth[there], score[there], block[there]))
    truth, score, block = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Pooled(truth, score.astype(np.float64), np.unique(block, return_inverse=True)[1])


def roc_area(data: Pooled) -> Figure:
    """Area under the ROC curve; the interval is DeLong's for clustered data (Obuchowski, Biometrics 53, 567 (1997))."""
    truth = data.truth
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return Figure(value=float("nan"))
    ranks = rankdata(data.score)
    beaten = (ranks[truth] - rankdata(data.score[truth])) / negatives
    beating = 1 - (ranks[~truth] - rankdata(data.score[~truth])) / positives
    area = float(beaten.mean())
    blocks = int(data.block.max()) + 1
    ours = np.bincount(data.block[truth], beaten - area, blocks)
    theirs = np.bincount(data.block[~truth], beating - area, blocks)
    together = ours / positives + theirs / negatives
    error = float(np.sqrt(blocks / max(blocks - 1, 1) * (together**2).sum()))
    return Figure(value=area, lo=max(area - 1.96 * error, 0.0), hi=min(area + 1.96 * error, 1.0))


def found_at(data: Pooled, false_alarms: float) -> Figure:
    """Share of the anomalous pixels that score above all but the share `false_alarms` of the clean ones.

    The interval is a bootstrap over blocks, the threshold found anew each time.
    """
    truth, score, block = data
    if truth.all() or not truth.any():
        return Figure(value=float("nan"))
    order = np.argsort(-score[~truth], kind="stable")
    clean, clean_block = score[~truth][order], block[~truth][order]
    value = float((score[truth] > clean[int(false_alarms * clean.size)]).mean())
    blocks = int(block.max()) + 1
    dice = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES):
        weight = np.bincount(dice.integers(blocks, size=blocks), minlength=blocks)
        running = np.cumsum(weight[clean_block])
        of_truth = weight[block[truth]]
        if not of_truth.any():
            continue
        at = min(int(np.searchsorted(running, false_alarms * running[-1], side="right")), clean.size - 1)
        resampled.append(float(of_truth[score[truth] > clean[at]].sum() / of_truth.sum()))
    lo, hi = np.quantile(resampled, (0.025, 0.975))
    return Figure(value=value, lo=min(float(lo), value), hi=max(float(hi), value))


def roc_curve(data: Pooled) -> list[tuple[float, float]]:
    """(false alarms, found) at `CURVE_AT`."""
    clean = np.sort(data.score[~data.truth])[::-1]
    at = clean[np.minimum((CURVE_AT * clean.size).astype(int), clean.size - 1)]
    found = [(data.score[data.truth] > threshold).mean() for threshold in at]
    return [(round(float(x), 6), round(float(y), 5)) for x, y in zip(CURVE_AT, found, strict=True)]


class Flags(NamedTuple):
    """How good the flags on one map are."""

    f1: float
    precision: float
    recall: float


def judged_flags(truth: NDArray[np.bool_], flag: NDArray[np.bool_]) -> Flags:
    """F1, precision and recall of `flag`; the precision of no flag at all counts as 1, its F1 as 0."""
    hit, flagged, wanted = int((truth & flag).sum()), int(flag.sum()), int(truth.sum())
    return Flags(2 * hit / max(flagged + wanted, 1), hit / flagged if flagged else 1.0, hit / max(wanted, 1))


def best_f1(truth: NDArray[np.bool_], score: FloatArray) -> float:
    """F1 at the threshold that makes it largest, which only who knows the truth can choose."""
    order = np.argsort(-score, axis=None, kind="stable")
    ascending, ranked = score.ravel()[order], truth.ravel()[order]
    last_of_tie = np.append(np.diff(ascending) != 0, True)
    f1 = 2 * np.cumsum(ranked) / (np.arange(1, ranked.size + 1) + ranked.sum())
    return float(f1[last_of_tie].max())


def ashman_d(clean: FloatArray, anomalous: FloatArray) -> float | None:
    """Distance of two groups of log scores over their widths; above 2 they are apart (Ashman, AJ 108, 2348 (1994))."""
    a, b = _log(clean), _log(anomalous)
    width = np.sqrt(a.var() + b.var()) if a.size > 1 and b.size > 1 else 0.0
    return float(np.sqrt(2) * abs(a.mean() - b.mean()) / width) if width > 0 else None


def bimodality(score: FloatArray) -> float | None:
    """Sarle's coefficient of log scores, told nothing: 5/9 for an even distribution, 1 for two points."""
    x = _log(score)
    n = x.size
    if n < 4 or x.std() == 0:
        return None
    return float((skew(x, bias=False) ** 2 + 1) / (kurtosis(x, bias=False) + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))))


def _log(score: FloatArray) -> FloatArray:
    """Log of positive scores; those that may be negative, logarithms already, as they are."""
    finite = np.asarray(score, np.float64)[np.isfinite(score)]
    return finite if (finite < 0).any() else np.log(finite[finite > 0])


def p_values_by(clean: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """What turns scores of any shape into p-values by the scores of `clean` pixels, NaN where the score is.

    Conformal but for the last fiftieth of them, where a generalised Pareto tail takes over: with the count alone no
    pixel could be flagged where few are anomalous.
    """
    clean = np.sort(clean[np.isfinite(clean)], axis=None)
    start = clean[int((1 - TAIL_SHARE) * clean.size)]
    excess = clean[clean > start] - start
    tail = None
    if excess.size >= LEAST_TAIL:
        shape = float(np.clip(genpareto.fit(excess, floc=0)[0], -0.1, 0.2))
        tail = genpareto(shape, scale=excess.mean() * (1 - shape))

    def p_values(score: FloatArray) -> FloatArray:
        at_least = clean.size - np.searchsorted(clean, score, side="left")
        p = (1 + at_least) / (clean.size + 1)
        if tail is not None:
            p = np.where(score > start, excess.size / (clean.size + 1) * tail.sf(np.asarray(score) - start), p)
        return np.where(np.isfinite(score), np.maximum(p, SMALLEST_P), np.nan)

    return p_values


def mean_share(values: Sequence[float]) -> Figure:
    """As `mean_of`, of numbers that lie between 0 and 1: so does their interval."""
    figure = mean_of(values)
    if figure.lo is None or figure.hi is None:
        return figure
    return Figure(value=figure.value, lo=max(figure.lo, 0.0), hi=min(figure.hi, 1.0))


def mean_of(values: Sequence[float]) -> Figure:
    """Mean over replicates with Student's 95 % interval."""
    x = np.asarray(values, np.float64)
    value = float(x.mean())
    if x.size < 2:
        return Figure(value=value)
    half = float(t.ppf(0.975, x.size - 1) * x.std(ddof=1) / np.sqrt(x.size))
    return Figure(value=value, lo=value - half, hi=value + half)
