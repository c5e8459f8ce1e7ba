from dataclasses import replace

import numpy as np
import pytest

from monitor.core.bad_channels import find_bad_channels
from monitor.files.spectrum_image import read_spectrum_image
from monitor.sim.acquisition import acquire
from monitor.sim.camera import CAMERAS
from monitor.sim.scene import SCENES


def scanned(counts_per_pixel=2e5, **changes):
    scene = replace(SCENES["drift"], rows=48, columns=48, counts_per_pixel=counts_per_pixel, **changes)
    return acquire(scene, 1).image.counts


def test_each_fault_of_a_channel_is_told():
    counts, rng = scanned().astype(np.float64), np.random.default_rng(0)
    counts[..., 50] += rng.normal(0.0, 40.0, counts.shape[:2])
    counts[..., 80] += rng.normal(0.0, 200.0, counts.shape[:2])
    counts[..., 120] = (counts[..., 119] + counts[..., 121]) / 2
    counts[..., 200] *= 4
    counts[..., 250] /= 4
    counts[..., 300] = 7
    told = {bad.channel: bad.fault for bad in find_bad_channels(counts)}
    assert told == {50: "noisy", 80: "noisy", 120: "quiet", 200: "hot", 250: "cold", 300: "constant"}


@pytest.mark.parametrize("counts_per_pixel", [2e4, 2e5, 1e6, 2e6])
@pytest.mark.parametrize("camera", list(CAMERAS))
def test_sound_channels_are_left_alone_though_edges_move_and_gains_differ(camera, counts_per_pixel):
    assert find_bad_channels(scanned(counts_per_pixel, camera=CAMERAS[camera])) == []


def test_a_spike_is_no_fault_of_its_channel():
    counts, rng = scanned().astype(np.float64), np.random.default_rng(0)
    counts[rng.integers(48, size=6), rng.integers(48, size=6), 315] += 3e4
    assert find_bad_channels(counts) == []


@pytest.mark.parametrize("name", ["vcangadi1_25nm.dm3", "CuZn_EELS_mapping_tutorial.hspy"])
def test_a_real_map_without_bad_channels_has_none(name, real_data):
    assert find_bad_channels(read_spectrum_image(real_data(name)).counts) == []


@pytest.mark.parametrize("shape", [(1, 1, 60), (3, 3, 60)])
def test_a_map_that_says_nothing_has_no_bad_channels(shape):
    assert find_bad_channels(np.zeros(shape)) == []
