from dataclasses import replace

import numpy as np
import pytest

from monitor.core.errors import DataError
from monitor.core.noise import estimate_noise
from monitor.files.spectrum_image import read_spectrum_image
from monitor.sim.acquisition import acquire
from monitor.sim.camera import CAMERAS
from monitor.sim.scene import SCENES


@pytest.mark.parametrize("counts_per_pixel", [3e3, 2e5, 2e6])
@pytest.mark.parametrize("name", ["demo", "drift"])
def test_a_counting_camera_is_found_to_be_poisson(name, counts_per_pixel):
    scene = replace(SCENES[name], rows=64, columns=64, counts_per_pixel=counts_per_pixel)
    noise = estimate_noise(acquire(scene, 0).image.counts)
    assert noise.gain == pytest.approx(1.0, abs=0.03)
    assert noise.channel_correlation == pytest.approx(0.0, abs=0.025)


def test_the_gain_and_spread_of_a_scintillator_are_found():
    camera = replace(CAMERAS["scintillator"], readout=0.0)
    scene = replace(SCENES["film"], rows=64, columns=64, camera=camera, counts_per_pixel=1e6)
    noise = estimate_noise(acquire(scene, 0).image.counts)
    assert noise.gain == pytest.approx(camera.variance_over_mean, rel=0.05)
    assert noise.channel_correlation == pytest.approx(camera.channel_correlation, abs=0.04)


def test_vacuum_does_not_spoil_the_estimate():
    scene = replace(SCENES["vacuum"], camera=CAMERAS["scintillator"], counts_per_pixel=1e6)
    assert estimate_noise(acquire(scene, 0).image.counts).gain == pytest.approx(1.6, rel=0.05)


def test_a_real_quiet_map_gives_its_known_noise(real_data):
    noise = estimate_noise(read_spectrum_image(real_data("vcangadi1_25nm.dm3")).counts)
    assert noise.gain == pytest.approx(0.59, abs=0.06)
    assert noise.channel_correlation == pytest.approx(0.37, abs=0.03)


def test_bad_values_and_dead_channels_are_left_out():
    counts = np.random.default_rng(0).poisson(100, (20, 20, 60)).astype("f4")
    counts[3, 4, 5] = np.nan
    counts[7] = 0
    counts[..., 9] = 0
    assert estimate_noise(counts).gain == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 50), (1, 3, 50), (8, 8, 2)])
def test_too_little_to_tell_the_noise_from_is_said(shape):
    with pytest.raises(DataError, match="wanted at least 4 spectra"):
        estimate_noise(np.ones(shape))
