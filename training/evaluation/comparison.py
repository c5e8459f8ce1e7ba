"""Methods against each other on the same trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.calibration import discovery_threshold
from monitor.core.flagging import DEFAULT_FDR
from training.evaluation.method import Method, Scored
from training.evaluation.metrics import (
    ashman_d,
    bimodality,
    found_at,
    judged_flags,
    mean_share,
    pooled,
    roc_area,
    roc_curve,
)
from training.evaluation.results import Comparison, MethodFigures
from training.evaluation.trial import Trial

FALSE_ALARMS = 1e-3


def compare(title: str, trials: Sequence[Trial], methods: Sequence[Method]) -> Comparison:
    """Figures of every method that can judge all `trials`, one kind of scene in several specimens."""
    figures = []
    for method in methods:
        scored = [judged for trial in trials if (judged := method.judge(trial)) is not None]
        if len(scored) == len(trials):
            figures.append(figures_of(method, trials, scored))
    return Comparison(
        title=title,
        seeds=[trial.seed for trial in trials],
        pixels=sum(trial.truth.size for trial in trials),
        anomalous=sum(int(trial.truth.sum()) for trial in trials),
        methods=figures,
    )


def figures_of(method: Method, trials: Sequence[Trial], scored: Sequence[Scored]) -> MethodFigures:
    """Figures of one method; of several scores the one that finds most counts, chosen with the truth at hand.

    That favours the method: a baseline gets it, since which of its scores a user would have taken is unknown.
    """
    truths = [trial.truth for trial in trials]
    best: MethodFigures | None = None
    for name in scored[0].scores:
        data = pooled(truths, [each.scores[name] for each in scored])
        flags = [
            judged_flags(truth, flags_at(each.p_values[name]))
            for truth, each in zip(truths, scored, strict=True)
            if name in each.p_values
        ]
        f1, precision, recall = (mean_share(each) for each in zip(*flags, strict=True)) if flags else (None, None, None)
        figures = MethodFigures(
            method=method.name,
            role=method.role,
            fit=method.fit,
            score=name,
            auc=roc_area(data),
            found=found_at(data, FALSE_ALARMS),
            f1=f1,
            precision=precision,
            recall=recall,
            ashman_d=ashman_d(data.score[~data.truth], data.score[data.truth]),
            bimodality=bimodality(data.score),
            curve=roc_curve(data),
        )
        if best is None or (figures.found.value, figures.auc.value) > (best.found.value, best.auc.value):
            best = figures
    assert best is not None, "every method gives a score"
    return best


def not_ahead(comparisons: Sequence[Comparison]) -> list[str]:
    """Where our 3D-CVAE does not find more than the best baseline at 1e-3 false alarms, one clause a place."""
    clauses = []
    for comparison in comparisons:
        ours = [m for m in comparison.methods if m.role == "ours"]
        others = [m for m in comparison.methods if m.role == "baseline"]
        if not ours or not others:
            continue
        best = max(others, key=lambda m: m.found.value)
        if not ours[0].found.value > best.found.value:
            clauses.append(
                f"{comparison.title} ({best.title}, {best.score}: {best.found.value:.3f}; "
                f"3D-CVAE: {ours[0].found.value:.3f})"
            )
    return clauses


def false_share(trials: Sequence[Trial], method: Method, fdr: float) -> list[float]:
    """In each trial the share of false flags among the flags at `fdr`; 0 where nothing is flagged."""
    shares = []
    for trial in trials:
        scored = method.judge(trial)
        if scored is None:
            continue
        flags = flags_at(next(iter(scored.p_values.values())), fdr)
        shares.append(1 - judged_flags(trial.truth, flags).precision)
    return shares


def flags_at(p: NDArray[np.floating], fdr: float = DEFAULT_FDR) -> NDArray[np.bool_]:
    """What Benjamini-Hochberg flags of the p-values that flags go by, same shape."""
    return np.asarray(p <= discovery_threshold(p, fdr))
