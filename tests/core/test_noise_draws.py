import numpy as np
import pytest

from monitor.core.errors import ConfigError
from monitor.core.noise import NoiseEstimate
from monitor.core.noise_draws import thinned
from monitor.sim.camera import Camera

COUNTED = NoiseEstimate(gain=1.01, channel_correlation=0.01, components=3, correlation=(0.01, 0.0, 0.0, 0.0))
SCINTILLATOR = NoiseEstimate(
    gain=1.6,
    channel_correlation=0.39,
    components=3,
    correlation=(0.39, 0.04, 0.0, 0.0),
    floor=36.0,
    over_dispersion=2.5e-5,
)


def flat(mean):
    return np.full((50, 50, 200), mean)


def lags_of(noise):
    """Autocorrelation at lags 1 to 4 of (..., energy)."""
    return [float((noise[..., :-lag] * noise[..., lag:]).mean() / noise.var()) for lag in range(1, 5)]


@pytest.mark.parametrize("share", [0.9, 0.3, 0.05])
@pytest.mark.parametrize("electrons", [1.0, 33.0, 200.0, 1000.0])
def test_thinned_counts_look_like_those_of_a_camera_at_the_lower_dose(electrons, share):
    """Readout is each channel's own: where it is much of the noise, neighbours have less in common."""
    camera = Camera(name="any", gain=3.0, spread=0.15, readout=6.0, over_dispersion=0.005)
    rng = np.random.default_rng(0)
    counts = camera.record(flat(electrons), rng)[..., 2:-2]
    correlation = lags_of(counts - counts.mean())
    model = NoiseEstimate(
        gain=camera.variance_over_mean,
        channel_correlation=correlation[0],
        components=1,
        correlation=tuple(correlation),
        floor=camera.readout**2,
        over_dispersion=camera.over_dispersion**2,
    )
    lower = thinned(counts, share, model, rng).astype(float)
    measured = camera.record(flat(share * electrons), rng)[..., 2:-2]
    assert lower.mean() == pytest.approx(share * counts.mean(), abs=0.1)
    assert lower.var() == pytest.approx(measured.var(), rel=0.02)
    assert lower.var() == pytest.approx(model.variance(3.0 * share * electrons), rel=0.03)
    assert lags_of(lower - lower.mean()) == pytest.approx(lags_of(measured - measured.mean()), abs=0.01)


def test_single_electrons_are_thinned_exactly_and_stay_whole():
    counts = np.random.default_rng(1).poisson(flat(8.0)).astype("<u2")
    lower = thinned(counts, 0.25, COUNTED, np.random.default_rng(0))
    assert lower.dtype == np.dtype("<u2")
    assert (lower <= counts).all()
    assert lower.mean() == pytest.approx(2.0, rel=0.01)
    assert lower.var() == pytest.approx(2.0, rel=0.02)


def test_the_whole_dose_is_the_counts_themselves():
    counts = np.random.default_rng(1).poisson(flat(8.0))
    for noise in (COUNTED, SCINTILLATOR):
        assert (thinned(counts, 1.0, noise, np.random.default_rng(0)) == counts).all()


@pytest.mark.parametrize("noise", [COUNTED, SCINTILLATOR])
def test_what_is_missing_stays_missing(noise):
    counts = np.ones((2, 3, 30), np.float32)
    counts[1, 2, 3] = np.nan
    drawn = thinned(counts, 0.5, noise, np.random.default_rng(0))
    assert np.argwhere(np.isnan(drawn)).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        thinned(np.ones((1, 1, 5)), share, COUNTED, np.random.default_rng(0))
