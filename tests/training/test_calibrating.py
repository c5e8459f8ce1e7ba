import numpy as np
import pytest
import torch
from scipy.stats import kstest

from monitor.core.calibration import discovery_threshold
from training.calibrate import SHAPE_LIMITS, fit_calibration, widened, without_anomalies

COUNTS = np.full(3000, 1e5)


def clean_scores(n, seed):
    """The largest of many standard normal deviates, as the score is."""
    return np.abs(np.random.default_rng(seed).normal(size=(n, 400))).max(1)


def test_p_values_of_unseen_clean_scores_are_uniform():
    calibration = fit_calibration(clean_scores(3000, 0), COUNTS)
    p = calibration.p_values(clean_scores(3000, 1))
    assert kstest(p, "uniform").pvalue > 1e-3
    assert (p < 1e-2).mean() == pytest.approx(1e-2, rel=0.6)


def test_p_values_fall_without_a_break_where_the_tail_begins():
    calibration = fit_calibration(clean_scores(3000, 0), COUNTS)
    threshold = calibration.tail.threshold
    below, above = calibration.p_values(np.array([threshold, threshold + 1e-6]))
    assert above == pytest.approx(below, rel=1e-3)
    assert (np.diff(calibration.p_values(np.linspace(0, 50, 5000))) <= 0).all()
    assert len(calibration.knots_score) <= 256
    assert SHAPE_LIMITS[0] <= calibration.tail.shape <= SHAPE_LIMITS[1]


def test_anomalies_among_the_calibration_pixels_do_not_hide_anomalies():
    rng = np.random.default_rng(2)
    anomalous = rng.uniform(8, 20, 90)
    calibration = fit_calibration(np.concatenate([clean_scores(2910, 3), anomalous]), COUNTS)
    p = calibration.p_values(np.concatenate([clean_scores(2900, 4), rng.uniform(8, 20, 100)]))
    flagged = p <= discovery_threshold(p, 0.05)
    assert flagged[2900:].mean() > 0.9
    assert flagged[:2900].mean() < 0.01


def test_clean_scores_are_not_taken_for_anomalies():
    scores = np.sort(clean_scores(3000, 5))
    assert without_anomalies(scores).size >= 2999


def test_anomalies_hardly_beyond_the_clean_scores_are_left_out_too():
    rng = np.random.default_rng(8)
    calibration = fit_calibration(np.concatenate([clean_scores(2900, 9), rng.uniform(4.5, 12, 100)]), COUNTS)
    assert 2850 <= calibration.pixels <= 2920
    assert 1e-4 < (calibration.p_values(clean_scores(30000, 10)) < 1e-3).mean() < 2e-3


@pytest.mark.parametrize("anomalous", [0.02, 0.06, 0.085])
def test_many_anomalies_are_left_out_and_hardly_any_other(anomalous):
    rng = np.random.default_rng(11)
    many = round(anomalous * 3000)
    kept = without_anomalies(np.sort(np.concatenate([clean_scores(3000 - many, 12), rng.uniform(8, 20, many)])))
    assert 0.985 * (3000 - many) <= kept.size <= 3000 - many


@pytest.mark.parametrize("scores", [np.full(3000, 3.0), np.array([2.0])])
def test_scores_that_tell_no_decay_are_all_kept(scores):
    assert without_anomalies(scores).size == scores.size


def test_a_handful_of_pixels_gives_a_calibration_too():
    calibration = fit_calibration(clean_scores(20, 6), COUNTS[:20])
    p = calibration.p_values(np.array([0.0, 3.0, 30.0, np.nan]))
    assert p[0] == 1.0
    assert 0 < p[2] < 1e-3
    assert np.isnan(p[3])


@pytest.mark.parametrize(("closer", "wanted"), [(0.93, 1.0), (1.1, 1.0), (0.4, 2.3)])
def test_pixels_learned_by_heart_are_spread_as_those_held_out_but_not_by_chance(closer, wanted):
    held = torch.from_numpy(np.random.default_rng(6).exponential(size=2000))
    learned = torch.from_numpy(np.random.default_rng(7).exponential(size=8000)) * closer
    assert (widened(learned, held).std() / learned.std()) == pytest.approx(wanted, rel=0.06)


def test_too_few_pixels_held_out_say_nothing_of_those_learned_from():
    learned = torch.linspace(0, 1, 800)
    assert torch.equal(widened(learned, torch.linspace(0, 9, 20)), learned)


def test_raised_by_their_uncertainty_few_calibrations_promise_more_than_they_hold():
    level, too_low = 1e-3, {"as they are": 0, "raised": 0}
    for seed in range(100):
        scores = np.repeat(np.random.default_rng(seed).exponential(size=750), 4)  # neighbours that share their counts
        calibration = fit_calibration(scores, COUNTS)
        tried = np.linspace(4, 14, 1000)
        p = calibration.p_values(tried)
        for name, said in (("as they are", p), ("raised", calibration.raised(p))):
            too_low[name] += np.exp(-tried[np.argmax(said <= level)]) > level
    assert too_low["as they are"] > 45
    assert too_low["raised"] < 35
