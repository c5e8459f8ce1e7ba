"""A map that is learned from may hold the anomalies that are to be found: those must not pass for what is normal.

Medians and inner quantiles bear a few; but a pixel is in the 3 x 3 of eight others, and one in 25 is seen by a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from training.calibrate import LEARNED_FROM, said_of_map, without_anomalies
from training.data import Role
from training.scoring import ScoringGraph
from training.standardise import FEWEST, CleanMaps

LEAST_LEFT = 0.5
"""Of the pixels learned from; where fewer would be left, they are too many to be anomalies."""


def without_suspects(graph: ScoringGraph, clean: CleanMaps) -> CleanMaps:
    """The maps, pixels that stand far from all others and those beside them set apart; `clean` itself if none do.

    Also where too few pixels would be left to learn from.
    """
    scores = [_clean_scores(graph, item.counts) for item in clean.maps]
    every = np.sort(np.concatenate([score[np.isfinite(score)] for score in scores]))
    kept = without_anomalies(every)
    if kept.size == every.size:
        return clean
    roles = [
        np.where(maximum_filter(score > kept[-1], 3) & (item.role != Role.MISSING), np.int8(Role.SUSPECT), item.role)
        for score, item in zip(scores, clean.maps, strict=True)
    ]
    before, left = (_learned_from(each) for each in ([item.role for item in clean.maps], roles))
    if left < max(FEWEST, LEAST_LEFT * before):
        return clean
    return clean._replace(maps=[replace(item, role=role) for item, role in zip(clean.maps, roles, strict=True)])


def _learned_from(roles: Sequence[NDArray[np.int8]]) -> int:
    return sum(int(np.isin(role, LEARNED_FROM).sum()) for role in roles)


def _clean_scores(graph: ScoringGraph, counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of a map (row, column, energy), NaN where there is a label."""
    score, label = said_of_map(graph, counts, lambda scores: (scores.score, scores.label))
    return torch.where(label == 0, score, torch.nan).numpy()
