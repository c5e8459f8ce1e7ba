import numpy as np
import pytest

from monitor.core.axes import EnergyAxis
from monitor.core.errors import ConfigError, DataError
from monitor.files.spectrum_image import SpectrumImage, write_spectrum_image
from training.data import Role, hold_out, load_training_set

SHARES = (0.06, 0.2)


@pytest.fixture
def map_file(tmp_path):
    def write(name, *, offset_ev=400.0, spoil=None, shape=(20, 24, 100)):
        counts = np.random.default_rng(0).poisson(50, shape).astype(np.float32)
        if spoil is not None:
            spoil(counts)
        path = tmp_path / name
        axis = EnergyAxis(offset_ev=offset_ev, step_ev=0.5, size=shape[2])
        write_spectrum_image(path, SpectrumImage(counts=counts, energy=axis, title="a map"))
        return path

    return write


def load(*files, energy=None, region=None):
    return load_training_set(files, energy=energy, region=region, seed=0, shares=SHARES)


def test_the_window_is_cut_in_electron_volts_and_the_region_in_pixels(map_file):
    data = load(map_file("a.npz"), energy="410:430", region="2:18,4:20")
    assert data.maps[0].counts.shape == (16, 16, 41)
    assert (data.energy.offset_ev, data.energy.size) == (410.0, 41)


def test_a_window_outside_of_the_axis_is_refused_with_the_axis_named(map_file):
    with pytest.raises(DataError, match=r"700-720 eV.*399\.8-449\.8 eV"):
        load(map_file("a.npz"), energy="700:720")


@pytest.mark.parametrize(
    ("option", "text"), [("energy", "430"), ("energy", "430:410"), ("energy", "a:b"), ("region", "1:2")]
)
def test_a_window_or_region_written_wrongly_is_refused_with_an_example(map_file, option, text):
    with pytest.raises(ConfigError, match="such as"):
        load(map_file("a.npz"), **{option: text})


def test_a_region_beyond_the_map_is_refused_with_the_size_of_the_map(map_file):
    with pytest.raises(DataError, match="20 x 24 pixels"):
        load(map_file("a.npz"), region="0:21,0:24")


def test_several_maps_are_learned_from_together_if_their_axes_agree(map_file):
    data = load(map_file("a.npz"), map_file("b.npz", shape=(10, 12, 100)))
    assert [m.counts.shape[:2] for m in data.maps] == [(20, 24), (10, 12)]
    assert [item.name for item in data.inputs] == ["a.npz", "b.npz"]
    with pytest.raises(DataError, match=r"c\.npz covers .* a\.npz covers"):
        load(map_file("a.npz"), map_file("c.npz", offset_ev=401.0))


def test_pixels_with_bad_channels_become_missing_and_negative_counts_are_said(map_file):
    def spoil(counts):
        counts[3, 4, 50] = np.nan
        counts[5, 6] = np.inf
        counts[7, 8, :10] = -1

    data = load(map_file("a.npz", spoil=spoil))
    assert data.maps[0].role[3, 4] == data.maps[0].role[5, 6] == Role.MISSING
    assert data.pixels == 20 * 24 - 2
    assert np.isnan(data.maps[0].counts[3, 4]).all()
    assert any("2 pixels" in note for note in data.notes)
    assert any("negative" in note for note in data.notes)


def test_too_little_to_learn_from_is_refused(map_file):
    with pytest.raises(DataError, match="42 usable pixels"):
        load(map_file("a.npz"), region="0:6,0:7")
    with pytest.raises(DataError, match="5 channels"):
        load(map_file("a.npz"), energy="410:412")


@pytest.mark.parametrize("shape", [(16, 16), (50, 40), (96, 96), (3, 200)])
def test_held_out_pixels_come_in_blocks_and_in_the_share_asked_for(shape):
    role = hold_out(shape, np.random.default_rng(1), SHARES)
    calibrate = role == Role.CALIBRATE
    assert calibrate.mean() == pytest.approx(0.2, abs=0.08)
    assert 0.01 < (role == Role.VALIDATE).mean() < 0.12
    beside = calibrate[:, 1:] & calibrate[:, :-1]
    assert beside.sum() > 0.4 * calibrate.sum()
