"""How fast counts in memory are scored, by eelswatch and by what the entry points "eelswatch.rivals" offer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points

import numpy as np
from numpy.typing import NDArray

from monitor.core.resampling import resampler
from monitor.core.strips import Strip
from monitor.io.scorer import Scorer

GROUP = "eelswatch.rivals"
ROWS, COLUMNS, RIVALS_SIZE = 128, 128, 96
REPEATS = 3
Row = dict[str, float | int | str]
"""Figures of one measurement, by name."""


def measure_pace(scorer: Scorer) -> list[Row]:
    """Spectra/s in strips as long as scoring has them, and row by row, a part of the map on each thread."""
    counts = _noise(ROWS, COLUMNS, scorer)
    paces = {"bulk": _own_pace(scorer, counts), "row by row": _pace(lambda: _row_by_row(scorer, counts), counts)}
    return [
        {"mode": name, "channels": counts.shape[-1], "provider": scorer.provider, "spectra_per_s": pace}
        for name, pace in paces.items()
    ]


def measure_rivals(scorer: Scorer) -> list[Row]:
    """Spectra/s of eelswatch and of each rival that is installed, one after the other, on one noisy map."""
    counts = _noise(RIVALS_SIZE, RIVALS_SIZE, scorer)
    paces = {"eelswatch": _own_pace(scorer, counts)}
    for entry in entry_points(group=GROUP):
        try:
            score = entry.load()
            paces[entry.name] = _pace(lambda score=score: score(counts), counts, repeats=2)
        except ImportError:
            continue
    return [
        {
            "what": name,
            "channels": counts.shape[-1],
            "spectra_per_s": pace,
            "eelswatch_is_ahead": paces["eelswatch"] / pace,
        }
        for name, pace in paces.items()
    ]


def _noise(rows: int, columns: int, scorer: Scorer) -> NDArray[np.uint16]:
    return np.random.default_rng(0).poisson(400.0, (rows, columns, scorer.card.energy.size)).astype(np.uint16)


def _own_pace(scorer: Scorer, counts: NDArray[np.uint16]) -> float:
    def score() -> None:
        for _ in scorer.over(_strips(scorer, counts), scorer.score):
            pass

    return _pace(score, counts)


def _row_by_row(scorer: Scorer, counts: NDArray[np.uint16]) -> None:
    """Each thread has a part of the map, as if it came from a microscope of its own, and scores a row at a time."""

    def score(part: NDArray[np.uint16]) -> None:
        for strip in _strips(scorer, part, pixels=COLUMNS):
            scorer.score(strip)

    with ThreadPoolExecutor(scorer.at_once) as pool:
        list(pool.map(score, np.array_split(counts, scorer.at_once)))


def _strips(scorer: Scorer, counts: NDArray[np.uint16], *, pixels: int | None = None) -> Iterator[Strip]:
    energy = scorer.card.energy
    same = resampler(energy, energy)
    assert same is not None, "an axis covers itself"
    return scorer.strips(counts, np.ones(counts.shape[:2], np.bool_), same, pixels=pixels)


def _pace(score: Callable[[], object], counts: NDArray[np.uint16], *, repeats: int = REPEATS + 1) -> float:
    """Spectra/s, the best of a few; the first one warms up."""
    best_s = np.inf
    for _ in range(repeats):
        begun_s = time.perf_counter()
        score()
        best_s = min(best_s, time.perf_counter() - begun_s)
    return counts.shape[0] * counts.shape[1] / best_s
