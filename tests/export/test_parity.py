"""What counts as a difference between a model file and the graph it was made from."""

import numpy as np
import pytest

from export.parity import largest_difference


def scores(**changed):
    """Outputs of 1 x 10 x 10 pixels with 6 channels, the fields given set at pixel (0, 4, 4)."""
    pixel = (1, 10, 10)
    of = {
        "score": np.full(pixel, 4.4, np.float32),
        "energy_index": np.full(pixel, 3),
        "kind": np.full(pixel, 4),
        "expected": np.full((*pixel, 6), 100.0, np.float32),
        "latent": np.zeros((*pixel, 2), np.float32),
        "label": np.zeros(pixel, np.int64),
        "span": np.full((*pixel, 2), 3),
        "amount": np.full((*pixel, 2), 50.0, np.float32),
        "drift": np.zeros((1, 10), np.float32),
    }
    for name, value in changed.items():
        of[name][0, 4, 4] = value
    return of


def test_two_filters_within_rounding_of_each_other_are_no_difference():
    assert largest_difference(scores(kind=2, energy_index=5, span=5, amount=30), scores()) == 0


def test_another_amount_of_the_same_peak_is_one():
    assert largest_difference(scores(amount=51), scores()) == pytest.approx(1 / 50)


@pytest.mark.parametrize("changed", [{"score": 4.5}, {"expected": 102.0}, {"latent": 0.02}])
def test_so_is_any_other_output_whatever_the_peak(changed):
    assert largest_difference(scores(kind=2, **changed), scores()) >= 0.0199


def test_a_gap_elsewhere_and_peaks_elsewhere_in_many_pixels_are_refused():
    assert largest_difference(scores(score=np.nan), scores()) == np.inf
    elsewhere = scores()
    elsewhere["kind"][0, :, 0] = 2
    assert largest_difference(elsewhere, scores()) == np.inf
    unlike = scores()
    unlike["label"][0, :, 0] = 1
    assert largest_difference(unlike, scores()) == np.inf
