import numpy as np
import pytest

from training.evaluation.roll import (
    PAPER_SHIFTS_EV,
    chosen_pixels,
    paper_axis,
    roll_peak,
    strongest_feature,
    told_score,
)

AT = np.arange(200)
PEAK = 100.0 * np.exp(-0.5 * ((AT - 120) / 4.0) ** 2) + 10.0
RNG = np.random.default_rng(0)


def rolled(channels, spectra=PEAK[None]):
    return roll_peak(spectra, np.array(channels), search=slice(90, 150), half=20, smooth=3.0)


def test_the_peak_goes_where_it_is_sent_and_all_else_stays():
    for far in (-9, 5):
        moved = rolled([far])[0]
        assert np.argmax(moved) == 120 + far
        assert np.sort(moved) == pytest.approx(np.sort(PEAK))
        np.testing.assert_array_equal(np.delete(moved, slice(100, 141)), np.delete(PEAK, slice(100, 141)))


def test_a_roll_by_k_is_one_by_41_less_k_the_other_way():
    np.testing.assert_array_equal(rolled([3]), rolled([-38]))
    steps = [round(shift_ev / 0.3) for shift_ev in PAPER_SHIFTS_EV]
    assert {min(k, 41 - k) for k in steps} == {3, 8, 13, 18}


def test_the_input_is_not_touched_and_noise_does_not_decide_where_the_peak_is():
    noisy = RNG.poisson(np.tile(PEAK, (50, 1))).astype(float)
    before = noisy.copy()
    moved = rolled([4] * 50, noisy)
    np.testing.assert_array_equal(noisy, before)
    assert (moved[:, :98] == before[:, :98]).all()


def test_a_window_at_the_border_is_cut_off():
    assert np.sort(roll_peak(PEAK[None], np.array([5]), search=slice(0, 3), half=20, smooth=1.0)).shape == (1, 200)


def test_the_share_of_single_pixels_is_chosen_with_both_signs():
    where = np.zeros((50, 60), bool)
    where[:, :40] = True
    mask, sign = chosen_pixels(where, 0.016, RNG)
    assert mask.sum() == sign.size == 32
    assert not mask[~where].any()
    assert set(sign) == {-1, 1}


def test_the_papers_axis_and_its_told_score():
    axis = paper_axis()
    assert (axis.energies_ev()[0], axis.energies_ev()[-1]) == pytest.approx((420.0, 821.7))
    inside, outside = PEAK.copy(), PEAK.copy()
    inside[110:130] = PEAK[110:130][::-1] + np.arange(20)
    outside[:50] = 0
    score = told_score(np.stack([PEAK, inside, outside]), np.stack([PEAK] * 3), slice(90, 150))
    assert score[[0, 2]] == pytest.approx([0, 0], abs=1e-9)
    assert score[1] > 1e-3


def test_the_strongest_feature_is_not_the_highest_channel_of_a_falling_background():
    falling = 5000 * np.exp(-AT / 60)
    assert strongest_feature(falling + PEAK, 20) == pytest.approx(120, abs=2)
    step = falling * (1 + 0.15 * (AT > 80))
    assert (np.diff(step[82:]) < 0).all()
    assert strongest_feature(step, 20) == pytest.approx(86, abs=6)
