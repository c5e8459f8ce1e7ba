"""A way to score a trial, whatever is behind it: ours, a given model, a baseline, or the limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.evaluation.baselines import Baseline, Judge
from training.evaluation.candidate import Candidate
from training.evaluation.metrics import p_values_by
from training.evaluation.trial import Trial, likelihood_ratio

FloatArray = NDArray[np.floating]
ON_CLEAN, ON_ITSELF = "fitted on a clean map", "fitted on the map itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Score maps (row, column) by the score's name; where it has a clean reference, the p-values that flags go by."""

    scores: Mapping[str, FloatArray]
    p_values: Mapping[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """`judge` gives None where the trial does not reach over the method's energy axis. `role` as in MethodFigures.

    `slow` ones are left to the standard scenes.
    """

    name: str
    role: str
    fit: str
    judge: Callable[[Trial], Scored | None]
    slow: bool = False


LIMIT = Method(
    name="likelihood ratio",
    role="limit",
    fit="told expectation, edge and shift",
    judge=lambda trial: Scored(scores={"likelihood ratio": likelihood_ratio(trial)}),
)


def of_candidate(candidate: Candidate, *, role: str, fit: str) -> Method:
    """A trained model with its own p-values."""

    def judge(trial: Trial) -> Scored | None:
        counts = trial.counts if trial.energy == candidate.energy else trial.on(candidate.energy)
        if counts is None:
            return None
        judged = candidate.judge(counts)
        return Scored(scores={"own": judged.score}, p_values={"own": judged.raised})

    return Method(name=candidate.name, role=role, fit=fit, judge=judge)


def fitted_clean(baseline: Baseline, learn_from: FloatArray, calibrate_on: FloatArray) -> Method:
    """A baseline that has seen a clean map, with p-values from another; both (row, column, energy)."""
    judge_counts = baseline.learn(learn_from.reshape(-1, learn_from.shape[-1]))
    p_values = {name: p_values_by(score) for name, score in judge_counts(calibrate_on).items()}

    def judge(trial: Trial) -> Scored:
        scores = judge_counts(trial.counts)
        return Scored(scores=scores, p_values={name: p_values[name](score) for name, score in scores.items()})

    return Method(name=baseline.name, role="baseline", fit=ON_CLEAN, judge=judge, slow=baseline.slow)


def fitted_there(baseline: Baseline) -> Method:
    """A baseline that is fitted on the very map it judges, anomalies included; it has no clean reference."""

    def judge(trial: Trial) -> Scored:
        present = np.isfinite(trial.counts.sum(-1))
        learnt: Judge = baseline.learn(trial.counts[present])
        filled = np.where(present[..., None], trial.counts, trial.counts[present].mean(0))
        scores = learnt(filled)
        return Scored(scores={name: np.where(present, score, np.nan) for name, score in scores.items()})

    return Method(name=baseline.name, role="baseline", fit=ON_ITSELF, judge=judge, slow=baseline.slow)
