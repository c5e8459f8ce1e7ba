import numpy as np
import pytest
import torch

from training.doses import summed, thinned
from training.strips import strips


def test_thinned_counts_have_the_mean_and_the_variance_of_less_dose():
    counts = torch.from_numpy(np.random.default_rng(0).poisson(400, (200, 500)).astype(np.float32))
    thin = thinned(counts, 0.25, torch.Generator().manual_seed(0))
    assert float(thin.mean()) == pytest.approx(100, rel=0.01)
    assert float(thin.var()) == pytest.approx(100, rel=0.03)


def test_four_pixels_are_added_up_where_all_are_there():
    counts = torch.arange(4 * 5 * 2.0).reshape(4, 5, 2)
    mask = torch.ones(4, 5)
    mask[0, 2] = 0
    total, there = summed(counts, mask)
    assert there.tolist() == [[1, 0], [1, 1]]
    assert torch.equal(total[0, 0], counts[:2, :2].sum((0, 1)))
    assert total[0, 1].abs().sum() == 0


@pytest.mark.parametrize(("rows", "values", "number"), [(1, 1, 1), (16, 10**6, 1), (37, 10**6, 3), (37, 10**5, 2)])
def test_strips_cover_every_row_once_and_see_their_neighbours(rows, values, number):
    """Rows of `values` values: few of the longest, many of short ones in a strip."""
    found = list(strips(rows, 3, values))
    assert len(found) == number
    covered = [row for strip in found for row in range(*strip.core.indices(rows))]
    assert covered == list(range(rows))
    for strip in found:
        seen = range(*strip.halo.indices(rows))
        assert list(seen[strip.inner]) == list(range(*strip.core.indices(rows)))
