"""A model that is judged: a training run in PyTorch or an exported file in ONNX Runtime, behind one face."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis
from monitor.core.calibration import Calibration
from monitor.core.errors import DataError
from monitor.core.resampling import Resampler, resampler
from monitor.core.strips import Strip
from monitor.io.scorer import Scorer, load_scorer
from training.calibrate import score_map
from training.run import Outcome
from training.scoring import ScoringGraph
from training.train import load_graph


class Judgement(NamedTuple):
    """Score and p-value (row, column) and expected counts (row, column, energy).

    `raised`: the p-values that flags go by (`Calibration.raised`).
    """

    score: NDArray[np.float32]
    p_value: NDArray[np.float32]
    raised: NDArray[np.float64]
    expected: NDArray[np.float32]


class Candidate(Protocol):
    """What can judge counts (row, column, energy) on its own energy axis."""

    @property
    def name(self) -> str: ...

    @property
    def energy(self) -> EnergyAxis: ...

    def judge(self, counts: NDArray[np.float32]) -> Judgement: ...


class RunCandidate:
    """The graph of a finished training run."""

    def __init__(self, name: str, graph: ScoringGraph, outcome: Outcome, energy: EnergyAxis) -> None:
        self.name = name
        self.energy = energy
        self._graph = graph
        self._outcome = outcome

    def judge(self, counts: NDArray[np.float32]) -> Judgement:
        """Score a whole map."""
        with torch.inference_mode():
            scores = score_map(self._graph, np.ascontiguousarray(counts, dtype=np.float32))
        score = scores.score.numpy()
        return _judged(score, scores.expected.numpy(), self._outcome.calibration)


class ModelCandidate:
    """An exported model."""

    def __init__(self, scorer: Scorer) -> None:
        self.name = scorer.name
        self.energy = scorer.card.energy
        self._scorer = scorer

    def judge(self, counts: NDArray[np.float32]) -> Judgement:
        """Score a whole map."""
        card, same = self._scorer.card, resampler(self.energy, self.energy)
        assert isinstance(same, Resampler), "an axis covers itself"
        strips = self._scorer.strips(counts, np.isfinite(counts.sum(-1)), same)
        score, expected = zip(*(said for _, said in self._scorer.over(strips, self._of)), strict=True)
        return _judged(np.concatenate(score), np.concatenate(expected), card.calibration)

    def _of(self, strip: Strip) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._scorer.score(strip).score, self._scorer.detail(strip).expected


def _judged(score: NDArray[np.float32], expected: NDArray[np.float32], calibration: Calibration) -> Judgement:
    p_value = calibration.p_values(score)
    return Judgement(score, p_value, calibration.raised(p_value), expected)


def open_candidate(path: Path) -> Candidate:
    """The run in folder `path`, or the model in file `path`.

    Raises DataError or ModelError where it is neither, or not whole.
    """
    if path.is_dir():
        graph, record, outcome = load_graph(path)
        return RunCandidate(path.name, graph, outcome, record.energy)
    if not path.exists():
        raise DataError(f"{path} does not exist; wanted the folder of a training run or a MODEL.onnx")
    return ModelCandidate(load_scorer(path, "cpu"))
