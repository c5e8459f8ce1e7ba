import numpy as np
import pytest

from training.evaluation.rebuilding import chi2_per_dof, deviance, deviance_floor, excess, halves

RNG = np.random.default_rng(0)
EXPECTED = np.full((300, 80), 40.0)
ALL = slice(None)


@pytest.mark.parametrize("mean", [0.05, 0.5, 3.0, 40.0, 500.0])
def test_the_floor_is_the_deviance_of_poisson_counts_from_their_own_expectation(mean):
    counts = RNG.poisson(mean, 400_000)
    assert deviance_floor(np.array([mean]))[0] == pytest.approx(deviance(counts, np.array(mean)).mean(), rel=0.02)


def test_halves_add_up_and_know_nothing_of_each_other():
    counts = RNG.poisson(EXPECTED)
    one, other = halves(counts, RNG)
    np.testing.assert_array_equal(one + other, counts)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] == pytest.approx(0, abs=0.02)
    assert one.mean() == pytest.approx(20, rel=0.01)


def test_a_copy_of_the_noise_fools_chi2_and_not_the_other_half():
    counts = RNG.poisson(EXPECTED)
    one, other = halves(counts, RNG)
    assert chi2_per_dof(counts, counts) < 0.01 < chi2_per_dof(counts, EXPECTED)
    assert excess(EXPECTED, other, ALL) == pytest.approx(0.0, abs=0.02)
    assert excess(one, other, ALL) == pytest.approx(1.0, abs=0.1)
    smoothed = 0.5 * (one + EXPECTED / 2)  # half of the noise followed: a quarter of its variance
    assert excess(smoothed, other, ALL) == pytest.approx(0.25, abs=0.05)


def test_a_wrong_shape_shows_as_its_chi2():
    wrong = EXPECTED * (1 + 0.2 * np.sign(np.arange(80) - 39.5))
    _, other = halves(RNG.poisson(EXPECTED), RNG)
    assert excess(wrong, other, ALL) == pytest.approx(0.04 * 20, rel=0.1)
