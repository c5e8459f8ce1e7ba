from dataclasses import replace
from time import process_time

import numpy as np
import pytest

from monitor.core.errors import DataError
from monitor.core.noise import estimate_noise
from monitor.files.spectrum_image import read_spectrum_image
from monitor.sim.acquisition import acquire
from monitor.sim.anomalies import Anomalies
from monitor.sim.camera import CAMERAS, Camera
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
    counts = read_spectrum_image(real_data("vcangadi1_25nm.dm3")).counts
    noise = estimate_noise(counts)
    assert noise.variance(counts.mean()) / counts.mean() == pytest.approx(0.59, abs=0.06)
    assert noise.channel_correlation == pytest.approx(0.37, abs=0.03)


def test_a_real_map_of_a_camera_with_gain_gives_its_known_gain(real_data):
    noise = estimate_noise(read_spectrum_image(real_data("CuZn_EELS_mapping_tutorial.hspy")).counts)
    assert noise.gain == pytest.approx(4.0, rel=0.05)
    assert 0 < noise.channel_correlation < 0.2


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


FLICKERING = Camera(name="flickering", over_dispersion=0.005)
COUNTED_AND_CORRECTED = Camera(name="corrected", reference=0.05)


def seen_by(camera, scene="drift", seed=1, **changes):
    scene = replace(SCENES[scene], rows=64, columns=64, camera=camera, **changes)
    return acquire(scene, seed).image.counts


def true_correlation(camera, mean):
    """At lags 1 to 4, of all the noise in a channel of `mean` electrons."""
    shot = camera.variance_over_mean * camera.gain * mean
    rest = camera.readout**2 + (camera.over_dispersion * camera.gain * mean) ** 2
    first = camera.channel_correlation * shot
    second = camera.spread**2 * camera.gain**2 * mean
    return np.array([first, second, 0.0, 0.0]) / (shot + rest)


@pytest.mark.parametrize("counts_per_pixel", [2e4, 2e5, 1e6])
@pytest.mark.parametrize(
    "camera",
    [CAMERAS["counted"], CAMERAS["scintillator"], CAMERAS["gain_corrected"], COUNTED_AND_CORRECTED, FLICKERING],
    ids=lambda camera: camera.name,
)
def test_the_terms_of_a_cameras_noise_are_found_at_every_dose_and_no_others(camera, counts_per_pixel):
    noise = estimate_noise(seen_by(camera, counts_per_pixel=counts_per_pixel))
    mean = counts_per_pixel / 500
    assert noise.gain == pytest.approx(camera.variance_over_mean, rel=0.05)
    assert noise.correlation == pytest.approx(true_correlation(camera, mean), abs=0.04)
    assert noise.channel_correlation == noise.correlation[0]
    floor, flicker = camera.readout**2, camera.over_dispersion**2
    signal = camera.variance_over_mean * camera.gain * mean
    if floor == 0 or floor > 0.1 * signal:  # a floor that is less is lost in the gains of the channels
        assert noise.floor == pytest.approx(floor, rel=0.25)
    if flicker == 0:
        assert noise.over_dispersion == 0
    elif flicker * mean**2 > 0.04 * signal:
        assert np.sqrt(noise.over_dispersion) == pytest.approx(camera.over_dispersion, rel=0.3)
    else:
        assert np.sqrt(noise.over_dispersion) <= 1.3 * camera.over_dispersion


def test_vacuum_shows_the_readout_at_any_dose():
    camera = CAMERAS["scintillator"]
    noise = estimate_noise(seen_by(camera, "vacuum", counts_per_pixel=1e6))
    assert noise.floor == pytest.approx(camera.readout**2, rel=0.1)
    assert noise.gain == pytest.approx(camera.variance_over_mean, rel=0.03)


def test_the_variance_is_that_of_all_terms_and_dark_channels_have_the_floor():
    noise = replace(estimate_noise(np.random.default_rng(0).poisson(9, (9, 9, 9))), floor=5.0, over_dispersion=0.01)
    assert noise.variance(np.array([-3.0, 0.0, 10.0])) == pytest.approx([5.0, 5.0, 5 + 10 * noise.gain + 1])


def test_spikes_bad_channels_and_many_anomalies_do_not_spoil_the_estimate():
    anomalies = Anomalies(kind="shift", pixel_share=0.05)
    camera = CAMERAS["scintillator"]
    counts = seen_by(camera, "film", counts_per_pixel=2e4, anomalies=anomalies).astype(np.float64)
    rng = np.random.default_rng(0)
    for _ in range(40):
        counts[rng.integers(64), rng.integers(64), rng.integers(500)] += 3e4
    counts[..., 50] += rng.normal(0.0, 60.0, counts.shape[:2])
    counts[..., 120] = 7.0
    counts[..., 200] *= 4
    counts[:2] = 0
    noise = estimate_noise(counts)
    assert noise.gain == pytest.approx(camera.variance_over_mean, rel=0.05)
    assert noise.floor == pytest.approx(camera.readout**2, rel=0.25)
    assert noise.correlation == pytest.approx(true_correlation(camera, 40.0), abs=0.04)
    assert noise.over_dispersion == 0


def test_a_flat_map_has_no_lever_and_all_its_variance_is_gain():
    rng = np.random.default_rng(0)
    counts = rng.poisson(200, (40, 40, 80)) + rng.normal(0.0, 10.0, (40, 40, 80))
    noise = estimate_noise(counts)
    assert (noise.floor, noise.over_dispersion) == (0.0, 0.0)
    assert noise.gain == pytest.approx(1.5, rel=0.03)


def test_a_map_of_usual_size_takes_about_a_second():
    counts = acquire(SCENES["drift"], 0).image.counts
    started = process_time()
    estimate_noise(counts)
    assert process_time() - started < 8, "several times what it takes, for a busy machine"
