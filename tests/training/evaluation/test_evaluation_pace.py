"""The paper's network as a rival in pace: its form, and that batches change nothing but the pace."""

import numpy as np
import pytest
import torch

from training.evaluation.pace import PATCH, _as_published, paper_network, paper_network_in_batches


def test_batches_of_patches_give_the_errors_that_single_ones_give():
    counts = np.random.default_rng(0).poisson(50.0, (2 * PATCH + 5, PATCH + 1, 40)).astype(np.uint16)
    counts[PATCH + 3, 2] *= 9
    one_by_one = paper_network(counts)
    assert one_by_one.shape == counts.shape[:2]
    assert np.unravel_index(one_by_one.argmax(), one_by_one.shape) == (PATCH + 3, 2)
    assert paper_network_in_batches(counts) == pytest.approx(one_by_one, rel=1e-3)


def test_the_network_has_the_published_size():
    with torch.device("meta"):
        network = _as_published.__wrapped__(1312)
    assert sum(each.numel() for each in network.parameters()) == pytest.approx(777e6, rel=0.001)
