from dataclasses import replace

import numpy as np
import pytest

from monitor.core.spikes import find_spikes
from monitor.files.spectrum_image import read_spectrum_image
from monitor.sim.acquisition import acquire
from monitor.sim.scene import SCENES


def test_the_spikes_of_a_real_map_are_found_and_nothing_else(real_data):
    image = read_spectrum_image(real_data("CuZn_EELS_mapping_tutorial.hspy"))
    found = [(spike.row, spike.column, float(image.energy.at(spike.channel))) for spike in find_spikes(image.counts)]
    assert found == [(42, 11, 1076.0), (39, 9, 1476.0)]


@pytest.mark.parametrize("channel", [0, 1, 100, 171, 239])
@pytest.mark.parametrize("pixel", [(0, 0), (20, 31), (63, 63)])
def test_a_spike_put_in_is_found_wherever_it_is(demo_counts, pixel, channel):
    counts = demo_counts.copy()
    counts[*pixel, channel] *= 4
    (spike,) = find_spikes(counts)
    assert (spike.row, spike.column, spike.channel) == (*pixel, channel)
    assert spike.height_sigma > 10


@pytest.mark.parametrize("counts_per_pixel", [2e3, 1e5, 1e7])
@pytest.mark.parametrize("name", ["pixels", "demo", "intruder"])
def test_white_lines_shifts_and_intruders_are_no_spikes(name, counts_per_pixel):
    scene = replace(SCENES[name], rows=48, columns=48, counts_per_pixel=counts_per_pixel)
    assert find_spikes(acquire(scene, 1).image.counts) == []


@pytest.mark.parametrize("shape", [(1, 1, 50), (2, 2, 4), (1, 6, 50)])
def test_a_map_with_hardly_a_neighbour_does_no_harm(shape):
    assert find_spikes(np.full(shape, 100.0)) == []


@pytest.fixture(scope="module")
def demo_counts():
    return acquire(SCENES["demo"], 0).image.counts
