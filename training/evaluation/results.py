"""What an evaluation has found, as it is written to JSON and drawn in the report."""

from __future__ import annotations

import msgspec

from training.evaluation.plan import Plan


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A measured number and its 95 % interval; no interval where one replicate was all there was."""

    value: float
    lo: float | None = None
    hi: float | None = None


class MethodFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one kind of scene, over all replicates.

    `role`: ours (trained here), given (on the command line), baseline, or limit (told the truth). `score`: which of the
    method's scores this is, the best of them for a baseline. `found`: share of the anomalous pixels beyond 999 of 1000
    clean ones. `f1`, `precision`, `recall` at the default threshold, Benjamini-Hochberg at 1 %. `ashman_d` is of log
    scores, clean against anomalous; `bimodality` (Sarle's) of all of them. `curve`: (false alarms, found) pairs.
    """

    method: str
    role: str
    fit: str
    score: str
    auc: Figure
    found: Figure
    f1: Figure | None
    precision: Figure | None
    recall: Figure | None
    ashman_d: float | None
    bimodality: float | None
    curve: list[tuple[float, float]]

    @property
    def title(self) -> str:
        return f"{self.method}, {self.fit}" if self.fit else self.method


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All methods on one kind of scene."""

    title: str
    seeds: list[int]
    pixels: int
    anomalous: int
    methods: list[MethodFigures]


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """One thing varied; `why_not` says why, where it was not."""

    name: str
    points: list[Comparison] = []
    why_not: str | None = None


class PaperRow(msgspec.Struct, frozen=True, kw_only=True):
    """F1 at each of the paper's shifts; `source` is the paper, or how it was measured here."""

    method: str
    source: str
    f1: list[Figure]


class Nominal(msgspec.Struct, frozen=True, kw_only=True):
    """Share of clean pixels with a p-value of at most `nominal`, at `dose` times the dose of the training."""

    dose: float
    nominal: list[float]
    observed: list[float]


class Reconstruction(msgspec.Struct, frozen=True, kw_only=True):
    """How well clean spectra are rebuilt within `window_ev`.

    `chi2_per_dof` of the counts that were seen; `excess`: of the other half of the counts, deviance per channel over
    that of the true expectation: 0 is perfect, a copy of the noise gives 1.
    """

    method: str
    window_ev: tuple[float, float]
    chi2_per_dof: float
    excess: Figure


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """The share of false flags among all flags, asked for and seen over several scenes."""

    asked: float
    seen: Figure
    scenes: int


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One map: -log10 p (row, column) and where the defects are."""

    title: str
    minus_log_p: list[list[float]]
    truth: list[list[int]]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole evaluation. `own` are comparisons of the given models on their own map."""

    schema: str = "eelswatch.evaluation/1"
    created: str
    seconds: float
    seed: int
    versions: dict[str, str]
    plan: Plan
    notes: list[str]
    paper_shifts_ev: list[float]
    paper: list[PaperRow]
    scenes: list[Comparison]
    sweeps: list[Sweep]
    calibration: list[Nominal]
    discovery: Discovery
    reconstruction: list[Reconstruction]
    own: list[Comparison]
    example: Example
    not_ahead: list[str]
