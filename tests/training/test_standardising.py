"""What clean maps show each filter and each family: anew, whatever was set before."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import small_film, training_set, untrained_graph

from monitor.core.noise import NoiseEstimate
from monitor.core.noise_fit import fit_noise
from training.standardise import CleanMaps, seen_at, standardise


@pytest.fixture(scope="module")
def standardised():
    data = training_set(small_film(1).image.counts)
    clean = CleanMaps(data.maps, NoiseEstimate.of(fit_noise(data.maps[0].counts)))
    graph = untrained_graph(mean=data.maps[0].counts.reshape(-1, data.energy.size).mean(0))
    standardise(graph, clean)
    return graph, clean


def test_doing_it_again_changes_nothing_and_no_strength_stays_unlimited(standardised):
    graph, clean = standardised
    before = {name: each.clone() for name, each in graph.bank.state_dict().items()}
    assert float(graph.bank.levels.scale.max()) < 100
    standardise(graph, clean)
    for name, each in graph.bank.state_dict().items():
        torch.testing.assert_close(each, before[name], rtol=0, atol=0, equal_nan=True)


def test_sums_of_pixels_are_looked_at_in_their_own_noise_and_the_graph_keeps_its(standardised):
    graph, clean = standardised
    noise = replace(clean.noise, gain=1.0, floor=12.0, over_dispersion=0.01)
    graph.set_noise(noise)
    for dose, pixels in ((1.0, 1), (4.0, 4)):
        with torch.no_grad():
            sigma, expected = seen_at(graph, clean, dose, lambda found: (found.sigma, found.share * found.total))
        wanted = expected * (1 + 0.01 / pixels * expected) + 1 + 12 * pixels
        assert np.allclose(sigma**2, wanted, rtol=1e-3)
    assert (float(graph.floor), float(graph.over_dispersion)) == pytest.approx((12.0, 0.01))
