"""How fast others score the same counts on the same machine: what the entry points "eelswatch.rivals" offer."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.resampling import resampler
from monitor.io.scorer import Scorer, strips_of

GROUP = "eelswatch.rivals"
SIZE = 48
REPEATS = 2
Row = dict[str, float | int | str]


def measure_rivals(scorer: Scorer) -> list[Row]:
    """Spectra/s of eelswatch and of each rival that is installed, one after the other, on one noisy map."""
    energy = scorer.card.energy
    counts = np.random.default_rng(0).poisson(400.0, (SIZE, SIZE, energy.size)).astype(np.uint16)
    received, same = np.ones(counts.shape[:2], np.bool_), resampler(energy, energy)
    assert same is not None, "an axis covers itself"

    def eelswatch(counts: NDArray[Any]) -> None:
        for _ in scorer.over(strips_of(counts, received, card=scorer.card, resample=same), scorer.score):
            pass

    own = _pace(eelswatch, counts)
    rows: list[Row] = [{"what": "eelswatch", "channels": energy.size, "spectra_per_s": own, "eelswatch_is_ahead": 1.0}]
    for entry in entry_points(group=GROUP):
        try:
            pace = _pace(entry.load(), counts)
        except ImportError:
            continue
        rows.append(
            {"what": entry.name, "channels": energy.size, "spectra_per_s": pace, "eelswatch_is_ahead": own / pace}
        )
    return rows


def _pace(score: Callable[[NDArray[Any]], object], counts: NDArray[Any]) -> float:
    """Spectra/s, the better of a few."""
    best_s = np.inf
    for _ in range(REPEATS):
        begun_s = time.perf_counter()
        score(counts)
        best_s = min(best_s, time.perf_counter() - begun_s)
    return counts.shape[0] * counts.shape[1] / best_s
