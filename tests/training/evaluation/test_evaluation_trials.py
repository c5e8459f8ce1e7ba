from dataclasses import replace

import numpy as np
import pytest

from monitor.core.axes import EnergyAxis
from monitor.sim.anomalies import Anomalies
from monitor.sim.scene import Scene, window_of
from training.evaluation.metrics import pooled, roc_area
from training.evaluation.own import drawn_towards, injected, moved
from training.evaluation.trial import Trial, likelihood_ratio

PIXELS = Anomalies(kind="shift", pixel_share=0.05)
SCENE = Scene(name="any", rows=20, columns=24, energy=window_of(200), drift_ev=0.5, anomalies=PIXELS)
RNG = np.random.default_rng(0)


def test_the_expectation_is_that_of_this_very_scan_with_its_drift():
    trial = Trial.of(SCENE, 3)
    expected = trial.expectation(0)
    chi2 = ((trial.counts - expected) ** 2 / expected).mean(-1)
    assert chi2[~trial.truth].mean() == pytest.approx(1.0, abs=0.02)
    assert chi2[trial.truth].mean() > 1.2
    best = np.minimum(*(((trial.counts - trial.expectation(sign)) ** 2 / expected).mean(-1) for sign in (-1, 1)))
    assert best[trial.truth].mean() < 1.1


def test_the_likelihood_ratio_finds_nearly_all_and_looks_only_where_defects_can_be():
    trial = Trial.of(SCENE, 4)
    ratio = likelihood_ratio(trial)
    assert roc_area(pooled([trial.truth], [ratio])).value > 0.98
    assert (ratio[:, -4:] == ratio.min()).all()
    oxygen = replace(SCENE, anomalies=Anomalies(kind="oxygen", strength=0.5, pixel_share=0.05))
    trial = Trial.of(oxygen, 4)
    assert roc_area(pooled([trial.truth], [likelihood_ratio(trial)])).value > 0.99


def test_a_specimen_on_another_axis_has_the_same_dose_and_defects():
    trial = Trial.of(SCENE, 5)
    finer = trial.on(EnergyAxis(offset_ev=600.0, step_ev=0.5, size=300))
    same = slice(*np.searchsorted(SCENE.energy.energies_ev(), (600.0, 749.5)))
    assert finer.shape == (20, 24, 300)
    assert finer.sum() == pytest.approx(trial.counts[..., same].sum(), rel=0.01)
    assert trial.on(EnergyAxis(offset_ev=200.0, step_ev=1.0, size=400)) is None


def test_a_true_shift_moves_the_edge_and_leaves_the_rest():
    at = np.arange(300.0)
    background = 1000 * np.exp(-at / 150)
    spectra = (background + 400 * np.exp(-0.5 * ((at - 150) / 5) ** 2))[None].repeat(2, 0)
    changed = moved(spectra, np.array([7.0, -3.5]), around=150, half=40)
    assert np.argmax(changed[0] - background) == 157
    assert np.argmax(changed[1] - background) == pytest.approx(146.5, abs=0.6)
    np.testing.assert_array_equal(changed[:, :110], spectra[:, :110])
    np.testing.assert_array_equal(changed[:, 191:], spectra[:, 191:])
    np.testing.assert_allclose(moved(spectra, np.zeros(2), around=150, half=40), spectra)


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_counts_that_are_changed_keep_the_noise_of_their_new_mean(gain):
    normal, changed = np.full((100_000, 2), 60.0), np.tile([30.0, 90.0], (100_000, 1))
    counts = gain * RNG.poisson(normal / gain)
    drawn = drawn_towards(counts, normal, changed, gain, RNG)
    assert drawn.mean(0) == pytest.approx([30, 90], rel=0.01)
    assert drawn.var(0) == pytest.approx([30 * gain, 90 * gain], rel=0.03)


@pytest.mark.parametrize("how", ["roll", "shift"])
def test_what_is_put_into_a_real_map_is_where_the_truth_says(how):
    clean = Trial.of(replace(SCENE, anomalies=None), 6)
    real = Trial(counts=clean.counts.copy(), truth=clean.truth, energy=clean.energy)
    real.counts[3, 4] = np.nan
    trial = injected(real, 3.9, how=how, seed=1)
    changed = (np.nan_to_num(trial.counts) != np.nan_to_num(real.counts)).any(-1)
    np.testing.assert_array_equal(changed, trial.truth)
    assert trial.truth.sum() == round(0.016 * 479)
