import json

import numpy as np
import pytest

from monitor.commands.inspect import inspect
from monitor.commands.simulate import simulate
from monitor.core.errors import ConfigError, DataError
from monitor.files.spectrum_image import read_spectrum_image

SMALL = {"rows": 32, "columns": 40, "channels": 120}


@pytest.mark.parametrize("suffix", [".hspy", ".npz", ".npy"])
def test_simulate_writes_a_map_and_its_truth_and_says_so_in_one_line(tmp_path, capsys, suffix):
    simulate(output=tmp_path / f"map{suffix}", truth=tmp_path / "truth.npy", seed=3, **SMALL)
    line = capsys.readouterr().out
    truth = np.load(tmp_path / "truth.npy")
    assert read_spectrum_image(tmp_path / f"map{suffix}").counts.shape == (32, 40, 120)
    assert truth.dtype == bool
    assert truth.shape == (32, 40)
    assert line.count("\n") == 1
    assert f"{truth.sum()} anomalous pixels" in line


def test_simulate_speaks_json_or_nothing(tmp_path, capsys):
    simulate(output=tmp_path / "map.npz", scene="clean", as_json=True, counts=500.0, drift_ev=0.0, **SMALL)
    told = json.loads(capsys.readouterr().out)
    assert (told["shape"], told["anomalous_pixels"], told["counts_per_pixel"]) == ([32, 40, 120], 0, 500.0)
    simulate(output=tmp_path / "map.npz", quiet=True, **SMALL)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"scene": "moon"}, ConfigError),
        ({"camera": "phone"}, ConfigError),
        ({"counts": -1.0}, ConfigError),
        ({"drift_ev": float("nan")}, ConfigError),
        ({"truth": "mask.png"}, ConfigError),
        ({"output": "map.dm4"}, DataError),
        ({"output": "no/such/folder/map.npz"}, DataError),
    ],
)
def test_simulate_refuses_in_one_line_and_writes_nothing(tmp_path, options, error):
    given = {"output": "map.npz"} | options
    paths = {key: tmp_path / given[key] for key in ("output", "truth") if key in given}
    with pytest.raises(error) as caught:
        simulate(**(SMALL | given | paths))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_inspect_tells_axes_counts_and_noise_as_json(tmp_path, capsys):
    simulate(output=tmp_path / "map.npz", camera="scintillator", quiet=True, **SMALL)
    inspect(file=tmp_path / "map.npz", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["shape"] == [32, 40, 120]
    assert told["energy"]["size"] == 120
    assert told["noise"]["gain"] == pytest.approx(1.6, abs=0.15)
    assert told["counts"]["median_per_pixel"] == pytest.approx(3e5, rel=0.05)
    assert any("not Poisson" in sentence for sentence in told["watch_out"])


def test_inspect_names_the_spikes_of_a_real_map(real_data, capsys):
    inspect(file=real_data("CuZn_EELS_mapping_tutorial.hspy"))
    words = " ".join(capsys.readouterr().out.split())
    assert "2 X-ray spikes, (row, column): (42, 11) at 1076.0 eV; (39, 9) at 1476.0 eV." in words
    assert "50 rows x 40 columns x 162 channels" in words


def test_inspect_of_a_sound_map_has_nothing_to_warn_of(tmp_path, capsys):
    simulate(output=tmp_path / "map.npz", scene="clean", quiet=True, **SMALL)
    inspect(file=tmp_path / "map.npz", quiet=True)
    assert capsys.readouterr().out == ""


def test_inspect_of_a_line_scan_is_one_error(real_data):
    with pytest.raises(DataError, match="line scan"):
        inspect(file=real_data("LSMO_STO_linescan.hspy"))
