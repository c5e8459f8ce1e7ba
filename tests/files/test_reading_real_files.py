import numpy as np
import pytest

from monitor.core.errors import DataError
from monitor.files.spectrum_image import read_spectrum_image


def test_a_digital_micrograph_map_comes_with_its_energy_axis_last(real_data):
    image = read_spectrum_image(real_data("vcangadi1_25nm.dm3"))
    assert image.counts.shape == (16, 16, 1024)
    assert image.counts.flags.c_contiguous
    assert image.energy.offset_ev == pytest.approx(50.0, abs=1e-3)
    assert image.energy.step_ev == pytest.approx(0.3, abs=1e-6)
    assert image.pixel_nm == pytest.approx((24.58, 24.58), abs=0.01)
    assert image.beam_kev == pytest.approx(200.0)
    assert image.dwell_us == pytest.approx(500_000)
    assert any("moved" in note for note in image.notes)
    assert np.median(image.counts.sum(axis=-1)) == pytest.approx(2.35e6, rel=0.01)


def test_a_dm4_map_is_read_with_micrometres_turned_into_nanometres(real_data):
    image = read_spectrum_image(real_data("rsciio_EELS_SI_2x2.dm4"))
    assert image.counts.shape == (2, 2, 2048)
    assert image.energy.offset_ev == pytest.approx(300.0)
    assert image.pixel_nm == pytest.approx((1.992, 1.992), abs=0.001)


def test_a_hyperspy_map_keeps_its_integers_and_axes(real_data):
    image = read_spectrum_image(real_data("CuZn_EELS_mapping_tutorial.hspy"))
    assert image.counts.shape == (50, 40, 162)
    assert image.counts.dtype == np.int16
    assert (image.energy.offset_ev, image.energy.step_ev) == (700.0, 8.0)
    assert image.counts[42, 11, 47] == 19288
    assert image.notes == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LSMO_STO_linescan.hspy", "line scan"),
        ("pyTEMlib_EELS_STO.dm3", "single spectrum"),
        ("exspy_coreloss_spectrum.msa", ".msa"),
        ("README.md", ".md"),
    ],
)
def test_what_is_no_map_says_so_in_one_line(real_data, name, said):
    with pytest.raises(DataError, match=said) as caught:
        read_spectrum_image(real_data(name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["vcangadi1_25nm.dm3", "rsciio_EELS_SI_2x2.dm4", "CuZn_EELS_mapping_tutorial.hspy"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5])
def test_a_truncated_file_is_one_line(real_data, tmp_path, name, share):
    whole = real_data(name).read_bytes()
    broken = tmp_path / name
    broken.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError) as caught:
        read_spectrum_image(broken)
    assert "\n" not in str(caught.value)
