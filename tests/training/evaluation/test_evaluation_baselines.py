import numpy as np
import pytest

from training.evaluation.baselines import baselines
from training.evaluation.metrics import pooled, roc_area
from training.evaluation.subspace import pca, poisson_pca, robust_pca

RNG = np.random.default_rng(0)
AT = np.arange(60)
SHAPES = np.stack([np.exp(-AT / 40), 0.6 * np.exp(-0.5 * ((AT - 20) / 3) ** 2), 0.3 * (AT > 40)])
AMOUNTS = 400 * (0.5 + RNG.random((30, 30, 3)))
EXPECTED = AMOUNTS @ SHAPES


def a_map(defects=0, seed=0):
    """A clean map, or one with a peak of which there is too much in some pixels at a place that is new."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((30, 30), bool)
    truth.flat[rng.choice(900, defects, replace=False)] = True
    there = EXPECTED + truth[..., None] * 150 * np.exp(-0.5 * ((AT - 50) / 1.5) ** 2)
    return rng.poisson(there).astype(np.float32), truth


@pytest.mark.parametrize("fit", [pca, poisson_pca])
def test_spectra_of_three_shapes_are_rebuilt_from_three_components(fit):
    flat = EXPECTED.reshape(-1, 60)
    assert fit(flat, 3).rebuilt(EXPECTED) == pytest.approx(EXPECTED, rel=1e-5)
    assert np.abs(fit(flat, 1).rebuilt(EXPECTED) - EXPECTED).max() > 5


def test_robust_components_are_hardly_turned_by_a_few_gross_outliers():
    pytest.importorskip("hyperspy")
    flat = RNG.poisson(EXPECTED).reshape(-1, 60).astype(float)
    spoilt = flat.copy()
    spoilt[::20, 50] += 8000
    far = {}
    for fit in (pca, robust_pca):
        model = fit(spoilt, 4)
        far[fit] = np.linalg.norm(model.components @ (np.eye(60)[50] / model.weight) * model.weight[50])
    assert far[robust_pca] < 0.8 * far[pca]


@pytest.mark.parametrize("baseline", baselines(slow=True), ids=lambda each: each.name)
def test_each_baseline_that_has_seen_a_clean_map_finds_what_is_new(baseline):
    counts, truth = a_map(defects=30, seed=1)
    judge = baseline.learn(a_map()[0].reshape(-1, 60))
    areas = [roc_area(pooled([truth], [score])).value for score in judge(counts).values()]
    assert max(areas) > 0.9


def test_windows_of_clean_counts_score_as_noise_does():
    (baseline,) = [each for each in baselines(slow=False) if each.name == "PCA-3"]
    scores = baseline.learn(a_map(seed=2)[0].reshape(-1, 60))(a_map(seed=3)[0])
    assert np.mean(scores["chi2"]) == pytest.approx(1.0, abs=0.06)
    assert 2.0 < np.median(scores["window"]) < 4.0
    assert 2.0 < np.median(scores["window 3x3"]) < 4.0


def test_small_evaluations_leave_out_the_slow_ones():
    assert {each.name for each in baselines(slow=False)} == {"PCA-3", "PCA-5", "PCA-8", "Poisson PCA-5", "RX"}
    assert "isolation forest" in {each.name for each in baselines(slow=True)}
