import hashlib

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.core.axes import EnergyAxis
from monitor.core.errors import DataError
from monitor.files.spectrum_image import SpectrumImage, read_spectrum_image, sha256_of, write_spectrum_image


def an_image(**changes):
    counts = np.random.default_rng(0).poisson(50, (4, 5, 30)).astype("<u2")
    energy = EnergyAxis(offset_ev=420.5, step_ev=0.3, size=30)
    fields = {"beam_kev": 300.0, "dwell_us": 2000.0, "pixel_nm": (0.2, 0.3)}
    return SpectrumImage(**{"counts": counts, "energy": energy, "title": "a map", **fields, **changes})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=hnp.arrays(
        dtype=st.sampled_from(["<u1", "<u2", "<u4", "<i2", "<i4", "<f4", "<f8"]),
        shape=hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
    ),
    offset_ev=st.floats(-100, 3000),
    step_ev=st.floats(0.01, 10),
    title=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
)
def test_an_npz_comes_back_as_it_was(tmp_path, counts, offset_ev, step_ev, title):
    axis = EnergyAxis(offset_ev=offset_ev, step_ev=step_ev, size=counts.shape[2])
    image = SpectrumImage(counts=counts, energy=axis, title=title, pixel_nm=(0.1, 0.2))
    write_spectrum_image(tmp_path / "map.npz", image)
    back = read_spectrum_image(tmp_path / "map.npz")
    np.testing.assert_array_equal(back.counts, counts)
    assert back.counts.dtype == counts.dtype
    assert (back.energy, back.title, back.pixel_nm, back.notes) == (axis, title, (0.1, 0.2), ())


def test_an_hspy_comes_back_as_it_was(tmp_path):
    image = an_image()
    write_spectrum_image(tmp_path / "map.hspy", image)
    back = read_spectrum_image(tmp_path / "map.hspy")
    np.testing.assert_array_equal(back.counts, image.counts)
    assert back.counts.dtype == image.counts.dtype
    assert (back.energy, back.title, back.beam_kev, back.pixel_nm) == (image.energy, "a map", 300.0, (0.2, 0.3))
    assert back.dwell_us == pytest.approx(2000.0)


def test_an_npy_keeps_the_counts_and_says_that_energies_are_channels(tmp_path):
    image = an_image()
    write_spectrum_image(tmp_path / "map.npy", image)
    back = read_spectrum_image(tmp_path / "map.npy")
    np.testing.assert_array_equal(back.counts, image.counts)
    assert (back.energy.offset_ev, back.energy.step_ev) == (0.0, 1.0)
    assert "1 eV" in back.notes[0]


@pytest.mark.parametrize(
    ("keys", "offset_ev", "step_ev"),
    [
        ({"energy_offset_ev": 100.0, "energy_step_ev": 0.5}, 100.0, 0.5),
        ({"offset_ev": 100.0, "step_ev": 0.5}, 100.0, 0.5),
        ({"offset": 100.0, "step": np.array([0.5])}, 100.0, 0.5),
        ({"offset": 100.0, "scale": 0.5}, 100.0, 0.5),
        ({"energy": 100.0 + 0.5 * np.arange(30)}, 100.0, 0.5),
        ({"energy_loss_keV": 0.1 + 0.0005 * np.arange(30)}, 100.0, 0.5),
        ({"levels": 100.0 + 0.5 * np.arange(30)}, 0.0, 1.0),
    ],
)
def test_the_energy_axis_of_an_npz_is_found_by_its_keys(tmp_path, keys, offset_ev, step_ev):
    np.savez(tmp_path / "map.npz", cube=an_image().counts, **keys)
    energy = read_spectrum_image(tmp_path / "map.npz").energy
    assert (energy.offset_ev, energy.step_ev) == pytest.approx((offset_ev, step_ev))


def test_big_endian_counts_become_native(tmp_path):
    np.save(tmp_path / "map.npy", np.arange(24, dtype=">u2").reshape(2, 3, 4))
    counts = read_spectrum_image(tmp_path / "map.npy").counts
    assert counts.dtype == np.dtype("u2")
    assert counts[1, 2, 3] == 23


@pytest.mark.parametrize(
    "arrays",
    [
        {"image": np.ones((4, 4))},
        {"counts": np.ones((4, 4))},
        {"first": np.ones((2, 2, 4)), "second": np.ones((2, 2, 4))},
        {"counts": np.ones((2, 2, 4), dtype=bool)},
        {"counts": np.ones((2, 0, 4))},
        {"counts": np.ones((2, 2, 4)), "step_ev": 0.0, "offset_ev": 3.0},
        {"counts": np.ones((2, 2, 4)), "energy": np.array([1.0, 2.0, 4.0, 8.0])},
    ],
)
def test_an_npz_without_one_sound_map_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "map.npz", **arrays)
    with pytest.raises(DataError) as caught:
        read_spectrum_image(tmp_path / "map.npz")
    assert "\n" not in str(caught.value)


def test_pickled_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "map.npy", np.array([{"a": 1}] * 8, dtype=object).reshape(2, 2, 2), allow_pickle=True)
    with pytest.raises(DataError, match=r"map\.npy"):
        read_spectrum_image(tmp_path / "map.npy")


@pytest.mark.parametrize(("write", "name", "right"), [(np.save, "map.npz", ".npy"), (np.savez, "map.npy", ".npz")])
def test_a_numpy_file_of_the_wrong_name_is_told_the_right_one(tmp_path, write, name, right):
    with (tmp_path / name).open("wb") as file:
        write(file, np.zeros((3, 4, 20), dtype="u2"))
    with pytest.raises(DataError, match=rf"{name}.*name it {right}"):
        read_spectrum_image(tmp_path / name)


@pytest.mark.parametrize("suffix", [".dm3", ".dm4", ".hspy", ".emd", ".nxs", ".npz", ".npy"])
@pytest.mark.parametrize("content", [b"", b"not a spectrum image\n" * 40, bytes(range(256)) * 20])
def test_a_broken_file_of_any_format_is_one_line(tmp_path, suffix, content, capfd):
    path = tmp_path / f"map{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_spectrum_image(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    assert "pickle" not in str(caught.value), "nobody is told to trust a stranger's file"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["missing.dm4", "folder.npz", "notes.txt", "table.csv", "picture.png", "plain"])
def test_what_cannot_be_a_map_is_refused_by_name(tmp_path, name):
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    elif not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"1,2,3\n")
    with pytest.raises(DataError, match=name):
        read_spectrum_image(tmp_path / name)


def test_of_two_maps_in_a_file_the_energy_loss_one_is_taken(tmp_path):
    h5py = pytest.importorskip("h5py")
    write_spectrum_image(tmp_path / "one.hspy", an_image(title="core loss"))
    write_spectrum_image(
        tmp_path / "two.hspy", an_image(title="low loss", energy=EnergyAxis(offset_ev=-5.0, step_ev=0.3, size=30))
    )
    with h5py.File(tmp_path / "one.hspy", "a") as one, h5py.File(tmp_path / "two.hspy") as two:
        two.copy("Experiments/low loss", one["Experiments"])
    back = read_spectrum_image(tmp_path / "one.hspy")
    assert back.title == "core loss"
    assert any("2 spectrum images" in note for note in back.notes)


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        write_spectrum_image(tmp_path / "no such folder" / "map.npz", an_image())
    with pytest.raises(DataError, match="wanted"):
        write_spectrum_image(tmp_path / "map.tif", an_image())
    assert list(tmp_path.iterdir()) == []


def test_the_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"counts")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"counts").hexdigest()
