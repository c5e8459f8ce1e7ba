"""A map that is learned from may hold the anomalies that are to be found: those must not pass for what is normal.

Medians and inner quantiles bear a few; but a pixel is in the 3 x 3 of eight others, and one in 25 is seen by a third.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from training.calibrate import score_map, without_anomalies
from training.data import Role
from training.scoring import ScoringGraph
from training.standardise import CleanMaps


def without_suspects(graph: ScoringGraph, clean: CleanMaps) -> CleanMaps:
    """The maps, pixels that stand far from all others and those beside them set apart; `clean` itself if none do."""
    scores = [_clean_scores(graph, item.counts) for item in clean.maps]
    every = np.sort(np.concatenate([score[np.isfinite(score)] for score in scores]))
    kept = without_anomalies(every)
    if kept.size == every.size:
        return clean
    roles = [
        np.where(maximum_filter(score > kept[-1], 3), np.int8(Role.SUSPECT), item.role)
        for score, item in zip(scores, clean.maps, strict=True)
    ]
    return clean._replace(maps=[replace(item, role=role) for item, role in zip(clean.maps, roles, strict=True)])


def _clean_scores(graph: ScoringGraph, counts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores of a map (row, column, energy), NaN where there is a label."""
    scores = score_map(graph, counts)
    return np.where(scores.label.numpy() == 0, scores.score.numpy().astype(np.float64), np.nan)
