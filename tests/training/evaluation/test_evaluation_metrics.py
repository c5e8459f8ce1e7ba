import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from training.evaluation.metrics import (
    CURVE_AT,
    ashman_d,
    best_f1,
    bimodality,
    found_at,
    judged_flags,
    mean_of,
    mean_share,
    p_values_by,
    pooled,
    roc_area,
    roc_curve,
)

RNG = np.random.default_rng(0)
small_maps = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=6, max_size=40)


def two_groups(distance, share=0.2, shape=(48, 48), seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random(shape) < share
    return truth, rng.standard_normal(shape) + distance * truth


@given(small_maps)
@settings(max_examples=60, deadline=None)
def test_the_roc_area_is_that_of_scikit_learn_ties_included(pixels):
    truth, score = (np.array(each)[None] for each in zip(*pixels, strict=True))
    area = roc_area(pooled([truth], [score.astype(float)]))
    if truth.all() or not truth.any():
        assert np.isnan(area.value)
    else:
        assert area.value == pytest.approx(roc_auc_score(truth.ravel(), score.ravel()))
        assert 0 <= area.lo <= area.value <= area.hi <= 1


def test_the_roc_interval_holds_the_true_area_about_95_times_in_100():
    true_area = 0.7602  # of two normal distributions one standard deviation apart
    held = []
    for seed in range(200):
        truth, score = two_groups(1.0, seed=seed)
        area = roc_area(pooled([truth], [score]))
        held.append(area.lo <= true_area <= area.hi)
    assert 0.89 <= np.mean(held) <= 0.99


def test_blocks_that_are_alike_widen_the_interval():
    rng = np.random.default_rng(1)
    truth = np.kron(rng.random((8, 8)) < 0.3, np.ones((8, 8), bool))
    alike = np.kron(rng.standard_normal((8, 8)), np.ones((8, 8))) + truth
    independent = rng.standard_normal((64, 64)) + truth
    wide, narrow = (roc_area(pooled([truth], [score])) for score in (alike, independent))
    assert wide.hi - wide.lo > 3 * (narrow.hi - narrow.lo)


def test_what_is_found_at_one_false_alarm_in_a_thousand_is_counted():
    truth = np.zeros((40, 55), bool)
    truth.flat[2000:] = True
    score = np.arange(2200.0).reshape(40, 55)  # 2000 clean ones; two of them may lie above the threshold
    score.flat[2000:2050] = 1997.0
    score.flat[2050:] = 1997.5
    assert found_at(pooled([truth], [score]), 1e-3).value == pytest.approx(150 / 200)
    found = found_at(pooled(*([each] for each in two_groups(3.0))), 1e-3)
    assert found.lo <= found.value <= found.hi


def test_pixels_without_a_score_count_for_nothing():
    truth, score = two_groups(1.0)
    with_gap = score.copy()
    with_gap[:8] = np.nan
    assert roc_area(pooled([truth], [with_gap])).value == pytest.approx(
        roc_auc_score(truth[8:].ravel(), score[8:].ravel())
    )


def test_the_roc_curve_rises_to_one():
    curve = roc_curve(pooled(*([each] for each in two_groups(1.0))))
    x, y = zip(*curve, strict=True)
    assert x == pytest.approx(CURVE_AT, abs=1e-6)
    assert list(y) == sorted(y)
    assert y[-1] > 0.99


@given(small_maps)
@settings(max_examples=60, deadline=None)
def test_the_best_f1_is_that_of_the_best_threshold(pixels):
    truth, score = (np.array(each) for each in zip(*pixels, strict=True))
    by_trying = max(f1_score(truth, score >= threshold, zero_division=0.0) for threshold in np.unique(score))
    assert best_f1(truth, score) == pytest.approx(by_trying)


def test_flags_are_judged_and_no_flag_is_no_false_flag():
    truth = np.array([True, True, True, True, False, False])
    assert judged_flags(truth, np.array([True, True, False, False, True, False])) == pytest.approx((4 / 7, 2 / 3, 0.5))
    assert judged_flags(truth, np.zeros(6, bool)) == (0.0, 1.0, 0.0)


def test_two_groups_are_apart_and_one_is_not():
    clean, far = np.exp(RNG.normal(0, 1, 4000)), np.exp(RNG.normal(6, 1, 4000))
    assert ashman_d(clean, far) == pytest.approx(6.0, abs=0.2)
    assert ashman_d(clean[:2000], clean[2000:]) < 0.2
    assert bimodality(clean) < 0.4 < 5 / 9 < 0.7 < bimodality(np.concatenate((clean, far)))
    assert bimodality(np.exp(RNG.uniform(0, 1, 20000))) == pytest.approx(5 / 9, abs=0.01)
    assert bimodality(np.ones(100)) is None


def test_p_values_of_clean_pixels_are_evenly_spread_far_into_the_tail():
    clean, other = np.random.default_rng(5).standard_normal((2, 20_000))
    p_values = p_values_by(clean)
    p = p_values(other)
    for nominal in (0.002, 0.01, 0.1, 0.5):
        assert (p <= nominal).mean() == pytest.approx(nominal, rel=0.25)
    assert p_values(np.array([-100.0])) == pytest.approx([1.0])
    far = p_values(np.linspace(2, 40, 50))
    assert (np.diff(far) <= 0).all()
    assert far[-1] < 1e-6 < 1e-4 < p_values(np.array([3.0]))[0]
    assert np.isnan(p_values(np.array([np.nan]))).all()
    assert p_values_by(np.arange(9.0))(np.array([9.0])) == pytest.approx([0.1]), "too few for a tail"


def test_the_mean_has_students_interval_and_one_value_has_none():
    figure = mean_of([1.0, 2.0, 3.0])
    assert (figure.value, figure.hi - figure.value) == pytest.approx((2.0, 4.303 / np.sqrt(3)), rel=1e-3)
    assert mean_of([0.5]).lo is None
    share = mean_share([0.8, 1.0])
    assert (share.lo, share.hi) == (0.0, 1.0)
