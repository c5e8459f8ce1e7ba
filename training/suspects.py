"""A map that is learned from may hold the anomalies that are to be found: those must not pass for what is normal.

Medians and inner quantiles bear a few; but a pixel is in the 3 x 3 of eight others, and one in 25 is seen by a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from training.calibrate import HELD_OUT, LEARNED_FROM, said_of_map, without_anomalies
from training.checkpoint import load_tensors, save_tensors
from training.data import Role
from training.families import EVIDENCE
from training.scoring import ScoringGraph
from training.standardise import FEWEST, CleanMaps

LATENT = EVIDENCE.index("latent")
LEAST_LEFT = 0.5
"""Of the pixels learned from and of those held out; where fewer would be left, they are too many to be anomalies."""


def without_suspects(graph: ScoringGraph, clean: CleanMaps) -> CleanMaps:
    """The maps, pixels that stand far from all others and those beside them set apart; `clean` itself if none do.

    Also where too few pixels would be left, to learn from or held out.
    """
    scores = [_of_what_is_left(graph, item.counts) for item in clean.maps]
    every = np.sort(np.concatenate([score[np.isfinite(score)] for score in scores]))
    kept = without_anomalies(every)
    if kept.size == every.size:
        return clean
    apart = _with_roles(
        clean, [_apart(item.role, score > kept[-1]) for score, item in zip(scores, clean.maps, strict=True)]
    )
    few = max(FEWEST, LEAST_LEFT * number(clean, LEARNED_FROM))
    if number(apart, LEARNED_FROM) < few or number(apart, HELD_OUT) < LEAST_LEFT * number(clean, HELD_OUT):
        return clean
    return apart


def number(clean: CleanMaps, roles: Sequence[Role]) -> int:
    """How many pixels of the maps have one of these roles."""
    return sum(int(np.isin(item.role, roles).sum()) for item in clean.maps)


def remember(path: Path, apart: CleanMaps) -> None:
    """Write what was set apart. Raises DataError where the place cannot be written to."""
    save_tensors(path, {"roles": [torch.from_numpy(item.role) for item in apart.maps]})


def remembered(path: Path, clean: CleanMaps) -> CleanMaps | None:
    """The maps, what was set apart in them; None where nothing is written. Raises ModelError for another file."""
    if not path.exists():
        return None
    return _with_roles(clean, [role.numpy() for role in load_tensors(path)["roles"]])


def _with_roles(clean: CleanMaps, roles: Sequence[NDArray[np.int8]]) -> CleanMaps:
    return clean._replace(maps=[replace(item, role=role) for item, role in zip(clean.maps, roles, strict=True)])


def _apart(role: NDArray[np.int8], far: NDArray[np.bool_]) -> NDArray[np.int8]:
    beside = maximum_filter(far, 3) & (role != Role.MISSING)
    return np.where(far, np.int8(Role.SUSPECT), np.where(beside, np.int8(Role.BESIDE), role))


def _of_what_is_left(graph: ScoringGraph, counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of a map (row, column, energy), NaN where there is a label or no more than an unusual latent.

    The network expects what such a pixel shows: a rare but normal place, such as an interface, which it must go on to
    see.
    """
    score, label, kind = said_of_map(graph, counts, lambda scores: (scores.score, scores.label, scores.kind))
    return torch.where((label == 0) & (kind != LATENT), score, torch.nan).numpy()
