"""The paper's network as a rival in pace: its form, and that batches change nothing but the pace."""

import numpy as np
import pytest

from training.evaluation.pace import LATENT, PATCH, _as_published, paper_network, paper_network_in_batches


def test_batches_of_patches_give_the_errors_that_single_ones_give():
    counts = np.random.default_rng(0).poisson(50.0, (2 * PATCH + 5, PATCH + 1, 40)).astype(np.uint16)
    counts[PATCH + 3, 2] *= 9
    one_by_one = paper_network(counts)
    assert one_by_one.shape == counts.shape[:2]
    assert np.unravel_index(one_by_one.argmax(), one_by_one.shape) == (PATCH + 3, 2)
    assert paper_network_in_batches(counts) == pytest.approx(one_by_one, rel=1e-3)


def test_the_network_has_the_published_size():
    network = _as_published(1312)
    decoder_s_dense_layers_and_all = sum(each.numel() for each in network.parameters())
    second_head_of_the_latent = LATENT * 513
    assert decoder_s_dense_layers_and_all + second_head_of_the_latent == pytest.approx(777e6, rel=0.01)
