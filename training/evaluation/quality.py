"""What no ROC curve shows: whether p-values hold, whether flags are as false as asked, how spectra are rebuilt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.evaluation.comparison import false_share
from training.evaluation.metrics import mean_of, mean_share
from training.evaluation.rebuilding import chi2_per_dof, excess, halves
from training.evaluation.results import Discovery, Example, Nominal, Reconstruction
from training.evaluation.subspace import pca, poisson_pca
from training.evaluation.sweeps import standard_scenes
from training.evaluation.trial import Trial
from training.evaluation.workshop import CLEAN, TRAIN, Workshop

NOMINAL = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 0.5, 0.8)
DOSES = (0.25, 1.0, 4.0)
DISCOVERY_FDR = 0.05
WINDOWS_EV = ((520.0, 560.0), (740.0, 815.0))
"""O K, which the paper calls noise-dominated, and the tail behind iron, where there are fewest counts."""
FloatArray = NDArray[np.floating]


def calibration_curves(workshop: Workshop) -> list[Nominal]:
    """How often p-values of clean specimens fall below a level, at a quarter of the dose, at it, at four times it."""
    model = workshop.trained_on(workshop.usual())
    curves = []
    for dose in DOSES:
        scene = workshop.scene("clean", counts_per_pixel=workshop.plan.counts_per_pixel * dose)
        trials = workshop.trials(scene, CLEAN)
        p = np.concatenate([model.judge(trial.counts).p_value.ravel() for trial in trials])
        observed = [round(float((p <= nominal).mean()), 6) for nominal in NOMINAL]
        curves.append(Nominal(dose=dose, nominal=list(NOMINAL), observed=observed))
    return curves


def discovery(workshop: Workshop) -> Discovery:
    """The share of false flags over the standard scenes."""
    ours = workshop.methods(workshop.usual())[0]
    shares = [
        share
        for scene in standard_scenes(workshop)
        for share in false_share(workshop.trials(scene), ours, DISCOVERY_FDR)
    ]
    return Discovery(asked=DISCOVERY_FDR, seen=mean_share(shares), scenes=len(shares))


def reconstructions(workshop: Workshop) -> list[Reconstruction]:
    """Clean spectra rebuilt by our model, by PCA, and not at all (the mean spectrum; the counts themselves)."""
    clean = workshop.usual()
    seen = Trial.of(clean, workshop.number(TRAIN)).counts
    flat = seen.reshape(-1, seen.shape[-1])
    model, mean = workshop.trained_on(clean), flat.mean(0)
    ways: dict[str, Callable[[FloatArray], FloatArray]] = {
        "3D-CVAE": lambda counts: model.judge(counts.astype(np.float32)).expected,
        "PCA-5": _per_dose(pca(flat, 5).rebuilt, float(flat.sum(-1).mean())),
        "Poisson PCA-5": poisson_pca(flat, 5).rebuilt,
        "mean spectrum": lambda counts: mean * (counts.sum(-1, keepdims=True) / mean.sum()),
        "the counts themselves": lambda counts: counts,
    }
    trials = workshop.trials(clean, CLEAN)
    found = []
    for window_ev in WINDOWS_EV:
        channels = clean.energy.window(*window_ev)
        for name, rebuild in ways.items():
            seen_chi2, missed = [], []
            for trial in trials:
                seen_chi2.append(chi2_per_dof(trial.counts[..., channels], rebuild(trial.counts)[..., channels]))
                one, other = halves(trial.counts, np.random.default_rng(trial.seed))
                missed.append(excess(rebuild(one), other, channels))
            chi2 = float(np.mean(seen_chi2))
            found.append(Reconstruction(method=name, window_ev=window_ev, chi2_per_dof=chi2, excess=mean_of(missed)))
    return found


def _per_dose(rebuild: Callable[[FloatArray], FloatArray], total: float) -> Callable[[FloatArray], FloatArray]:
    """Components that are centred on spectra of `total` counts see others scaled to it, half a dose too."""

    def scaled(counts: FloatArray) -> FloatArray:
        factor = total / max(float(counts.sum(-1).mean()), 1.0)
        return rebuild(counts * factor) / factor

    return scaled


def example(workshop: Workshop) -> Example:
    """One scene as our model sees it."""
    scene = standard_scenes(workshop)[0]
    trial = workshop.trials(scene)[0]
    p = workshop.trained_on(workshop.usual()).judge(trial.counts).p_value
    return Example(
        title=scene.name,
        minus_log_p=[[round(float(value), 2) for value in row] for row in -np.log10(p)],
        truth=trial.truth.astype(int).tolist(),
    )
