"""The paper's experiment: exactly as it was done, and mended.

As the paper: the roll is put into noisy counts of the very cube that was learned from, the score is told where to look
and the threshold is the best there is. Mended: another specimen, the roll put into the expectation before the noise,
nobody told anything, the default threshold, several replicates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis
from monitor.sim.scene import Scene
from monitor.sim.specimen import where_defects_may_be
from training.evaluation.baselines import Baseline, baselines
from training.evaluation.candidate import Candidate
from training.evaluation.comparison import flags_at
from training.evaluation.method import fitted_clean
from training.evaluation.metrics import best_f1, judged_flags, mean_share
from training.evaluation.results import Figure, PaperRow
from training.evaluation.roll import (
    PAPER_HALF_WINDOW,
    PAPER_SHARE,
    PAPER_SHIFTS_EV,
    PAPER_WINDOW_EV,
    SMOOTH_EV,
    chosen_pixels,
    paper_axis,
    roll_peak,
    told_score,
)
from training.evaluation.subspace import pca
from training.evaluation.trial import Trial
from training.evaluation.workshop import CALIBRATE, PAPER, TRAIN, Workshop

PUBLISHED = {
    "3D-CVAE": (0.857, 0.962, 0.958, 0.971, 0.971, 0.978, 0.950, 0.877),
    "PCA-3": (0.227, 0.626, 0.869, 0.273, 0.270, 0.919, 0.673, 0.227),
    "PCA-5": (0.101, 0.068, 0.052, 0.215, 0.220, 0.050, 0.065, 0.108),
}
"""F1 at PAPER_SHIFTS_EV as printed by Sultanov et al., of their own BiFeO3 map, which is not public."""
AS_PAPER, MENDED = "as the paper", "mended"
FloatArray = NDArray[np.floating]


def papers_cube(workshop: Workshop) -> Scene:
    """The scene of the paper's experiment."""
    plan = workshop.plan
    return replace(
        workshop.usual(),
        name="paper's cube",
        rows=plan.paper_size,
        columns=plan.paper_size,
        energy=paper_axis(plan.paper_channels),
        counts_per_pixel=plan.paper_counts,
    )


def paper_experiment(workshop: Workshop) -> list[PaperRow]:
    """The paper's own figures and ours beside them."""
    scene = papers_cube(workshop)
    cube = Trial.of(scene, workshop.number(TRAIN)).counts
    model = workshop.trained_on(scene)
    rows = [
        PaperRow(method=name, source="published", f1=[Figure(value=value) for value in f1])
        for name, f1 in PUBLISHED.items()
    ]
    with workshop.teller.stage("the paper's experiment, as the paper"):
        rows += _as_paper(scene, cube, model, workshop.number(PAPER))
    with workshop.teller.stage("the paper's experiment, mended"):
        rows += _mended(workshop, scene, cube, model)
    return rows


def _as_paper(scene: Scene, cube: NDArray[np.float32], model: Candidate, seed: int) -> list[PaperRow]:
    window = scene.energy.window(*PAPER_WINDOW_EV)
    found: dict[str, list[Figure]] = {}
    for shift_ev in PAPER_SHIFTS_EV:
        mask, sign = chosen_pixels(where_defects_may_be(scene), PAPER_SHARE, np.random.default_rng(seed))
        cube_with = cube.copy()
        cube_with[mask] = _rolled(cube[mask], sign, shift_ev, scene.energy)
        judged = model.judge(cube_with)
        flat = cube_with.reshape(-1, cube.shape[-1])
        scores = {
            "3D-CVAE, the paper's score": told_score(cube_with, judged.expected, window),
            "3D-CVAE, its own score": judged.score,
        }
        for components in (3, 5):
            scores[f"PCA-{components}"] = told_score(cube_with, pca(flat, components).rebuilt(cube_with), window)
        for name, score in scores.items():
            found.setdefault(name, []).append(Figure(value=best_f1(mask, score)))
    return [PaperRow(method=name, source=AS_PAPER, f1=f1) for name, f1 in found.items()]


def _mended(workshop: Workshop, scene: Scene, cube: NDArray[np.float32], model: Candidate) -> list[PaperRow]:
    calibration = Trial.of(scene, workshop.number(CALIBRATE)).counts
    flags: dict[str, Callable[[NDArray[np.float32]], NDArray[np.bool_]]] = {
        "3D-CVAE, its own score": lambda counts: flags_at(model.judge(counts).raised)
    }
    for baseline in baselines(slow=False):
        if baseline.name == "PCA-5":
            flags["PCA-5, window score"] = _flags_of(baseline, cube, calibration)
    f1: dict[str, list[list[float]]] = {name: [[] for _ in PAPER_SHIFTS_EV] for name in flags}
    for replicate in range(workshop.plan.replicates):
        seed = workshop.number(PAPER, 1 + replicate)
        trial = Trial.of(scene, seed)
        rng = np.random.default_rng(seed)
        mask, sign = chosen_pixels(where_defects_may_be(scene), PAPER_SHARE, rng)
        expected = trial.expectation(0)[mask]
        for at, shift_ev in enumerate(PAPER_SHIFTS_EV):
            counts = trial.counts.copy()
            counts[mask] = rng.poisson(_rolled(expected, sign, shift_ev, scene.energy))
            for name, flag in flags.items():
                f1[name][at].append(judged_flags(mask, flag(counts)).f1)
    return [PaperRow(method=name, source=MENDED, f1=[mean_share(each) for each in f1[name]]) for name in flags]


def _rolled(spectra: FloatArray, sign: NDArray[np.int64], shift_ev: float, axis: EnergyAxis) -> FloatArray:
    channels = sign * round(shift_ev / axis.step_ev)
    smooth = SMOOTH_EV / axis.step_ev
    return roll_peak(spectra, channels, search=axis.window(*PAPER_WINDOW_EV), half=PAPER_HALF_WINDOW, smooth=smooth)


def _flags_of(
    baseline: Baseline, cube: NDArray[np.float32], calibration: NDArray[np.float32]
) -> Callable[[NDArray[np.float32]], NDArray[np.bool_]]:
    method = fitted_clean(baseline, cube, calibration)

    def flags(counts: NDArray[np.float32]) -> NDArray[np.bool_]:
        nothing = np.zeros(counts.shape[:2], dtype=bool)
        scored = method.judge(Trial(counts=counts, truth=nothing, energy=paper_axis(counts.shape[-1])))
        assert scored is not None
        return flags_at(scored.p_values["window"])

    return flags
