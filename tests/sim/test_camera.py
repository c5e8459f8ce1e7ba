import numpy as np
import pytest

from monitor.sim.camera import CAMERAS, Camera

EXPECTED = np.full((4000, 40), 200.0)


def recorded(camera):
    return camera.record(EXPECTED, np.random.default_rng(0)).astype(float)


def test_the_counted_camera_has_a_variance_equal_to_its_mean():
    counts = recorded(CAMERAS["counted"])
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(counts[:, 1:].ravel(), counts[:, :-1].ravel())[0, 1] == pytest.approx(0.0, abs=0.01)


def test_the_scintillator_has_its_gain_its_spread_and_its_readout_noise():
    camera = Camera(name="any", gain=4.0, spread=0.2, readout=0.0)
    counts = recorded(camera)[:, 2:-2]
    assert counts.mean() == pytest.approx(4.0 * 200, rel=0.005)
    assert counts.var() / counts.mean() == pytest.approx(camera.variance_over_mean, rel=0.02)
    correlation = np.corrcoef(counts[:, 1:].ravel(), counts[:, :-1].ravel())[0, 1]
    assert correlation == pytest.approx(camera.channel_correlation, abs=0.01)
    dark = Camera(name="dark", readout=5.0).record(np.zeros((200, 200)), np.random.default_rng(0))
    assert dark.std() == pytest.approx(5.0, rel=0.02)


@pytest.mark.parametrize(
    ("largest", "dtype"), [(300, "<u2"), (60_000, "<u2"), (65_000, "<u4"), (1e6, "<u4"), (1e11, "<f4")]
)
def test_the_type_is_chosen_to_fit_the_counts(largest, dtype):
    assert CAMERAS["counted"].dtype_for(largest) == np.dtype(dtype)
    assert CAMERAS["scintillator"].dtype_for(largest) == np.dtype("<f4")


def test_a_gain_correction_leaves_the_mean_right_and_the_weak_channels_noisier():
    camera = Camera(name="any", reference=0.05)
    counts, gains = recorded(camera), camera.channel_gains(40)
    assert gains.std() == pytest.approx(0.05, rel=0.25)
    assert counts.mean(axis=0) == pytest.approx(200, rel=0.01)
    assert counts.var(axis=0) * gains == pytest.approx(200, rel=0.12)
    assert np.corrcoef(counts.var(axis=0), 1 / gains)[0, 1] > 0.8


def test_a_gain_corrected_map_holds_floats_that_may_be_negative():
    camera = CAMERAS["gain_corrected"]
    counts = camera.record(np.full((50, 40), 0.5), np.random.default_rng(0))
    assert (counts < 0).any()
    assert (counts != np.round(counts)).any()
    assert camera.dtype_for(300) == np.dtype("<f4")


def test_a_flickering_channel_adds_a_variance_that_grows_with_the_square_of_the_mean():
    camera = Camera(name="any", over_dispersion=0.05)
    for electrons in (100.0, 1600.0):
        counts = camera.record(np.full((4000, 40), electrons), np.random.default_rng(0))
        assert counts.var() == pytest.approx(electrons + (0.05 * electrons) ** 2, rel=0.03)
    assert not camera.counts_single_electrons
