import numpy as np
import pytest

from monitor.core.axes import EnergyAxis
from monitor.core.inspection import inspect_counts
from monitor.files.spectrum_image import read_spectrum_image

AXIS = EnergyAxis(offset_ev=400.0, step_ev=1.0, size=60)


def flat_counts(dtype="<f4"):
    return np.random.default_rng(0).poisson(100, (20, 20, 60)).astype(dtype)


def test_counts_are_counted_and_odd_values_kept_apart():
    counts = flat_counts()
    counts[0, 0, 0], counts[0, 0, 1], counts[1, 1, 1] = np.nan, np.inf, -3
    counts[5] = 0
    found = inspect_counts(counts, AXIS).counts
    finite = counts[np.isfinite(counts)]
    assert (found.non_finite, found.negative, found.dark_pixels, found.lowest) == (2, 1, 20, -3)
    assert found.total == pytest.approx(finite.sum(dtype=float))
    assert found.highest == finite.max()


def test_saturated_integers_are_counted():
    counts = flat_counts("<u1")
    counts[2, 3, 4:7] = 255
    assert inspect_counts(counts, AXIS).counts.saturated == 3


def test_bad_channels_are_named_with_their_fault():
    counts = flat_counts()
    counts[..., 10] = 7
    counts[..., 30] *= 5
    counts[..., 50] /= 5
    found = inspect_counts(counts, AXIS).bad_channels
    assert [(bad.channel, bad.energy_ev, bad.fault) for bad in found] == [
        (10, 410.0, "constant"),
        (30, 430.0, "hot"),
        (50, 450.0, "cold"),
    ]


def test_a_wandering_zero_loss_peak_is_measured(real_data):
    image = read_spectrum_image(real_data("vcangadi1_lowloss_zlp_wanders.dm3"))
    assert inspect_counts(image.counts, image.energy).zero_loss_ev == pytest.approx((7.2, 10.2), abs=0.05)


def test_a_core_loss_map_has_no_zero_loss_peak():
    assert inspect_counts(flat_counts(), AXIS).zero_loss_ev is None


@pytest.mark.parametrize("counts", [np.full((1, 1, 60), np.nan), np.zeros((3, 3, 60)), np.ones((1, 2, 60))])
def test_a_map_that_holds_nothing_is_still_described(counts):
    found = inspect_counts(counts, AXIS)
    assert (found.noise, found.spikes, found.bad_channels) == (None, [], [])
