import numpy as np
import pytest

from export.export import export_run
from monitor.core.errors import ModelError
from monitor.files.spectrum_image import read_spectrum_image, write_spectrum_image
from monitor.sim.acquisition import acquire
from monitor.sim.scene import Scene, window_of
from training.command import train
from training.evaluation.candidate import open_candidate
from training.evaluation.own import own_data

SCENE = Scene(name="clean", rows=20, columns=24, energy=window_of(60))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_spectrum_image(folder / "clean.npz", acquire(SCENE, 1).image)
    train([str(folder / "clean.npz"), "steps=3"], output=folder / "run", quiet=True)
    return folder / "run"


def test_a_run_and_its_exported_model_judge_alike(run):
    export_run(run, run.parent / "model.onnx")
    counts = acquire(SCENE, 2).image.counts.astype(np.float32)
    counts[3, 5] = np.nan
    candidates = [open_candidate(path) for path in (run, run.parent / "model.onnx")]
    assert [candidate.name for candidate in candidates] == ["run", "model.onnx"]
    a, b = (candidate.judge(counts) for candidate in candidates)
    np.testing.assert_allclose(a.score, b.score, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(a.expected, b.expected, rtol=1e-3, atol=1e-2)
    assert np.isnan(a.p_value[3, 5])
    assert np.isnan(b.p_value[3, 5])


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"no")
    with pytest.raises(ModelError, match=r"no\.onnx is no ONNX model"):
        open_candidate(tmp_path / "no.onnx")


def test_a_map_on_another_axis_is_resampled_or_passed_over(run):
    candidate = open_candidate(run)
    finer = acquire(Scene(name="clean", rows=20, columns=24, energy=window_of(180)), 3).image
    found = own_data(candidate, finer, name="finer", shifts_ev=(5.4,), seed=1, replicates=1)
    # its channels are 6.67 eV wide, so the shift is as many times as large
    assert [c.title for c in found] == [
        "run on finer: the paper's roll by 36 eV",
        "run on finer: a true shift by 36 eV",
    ]
    assert [m.role for m in found[0].methods] == ["given"] + ["baseline"] * 5
    write_spectrum_image(run.parent / "short.npz", acquire(SCENE, 3).image)
    short = read_spectrum_image(run.parent / "short.npz")
    short = type(short)(counts=short.counts[..., :30], energy=short.energy.cropped(slice(0, 30)), title="short")
    assert own_data(candidate, short, name="short", shifts_ev=(5.4,), seed=1, replicates=1) == []
