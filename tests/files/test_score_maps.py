import json

import numpy as np
import pytest

from monitor.core.axes import EnergyAxis
from monitor.core.errors import DataError
from monitor.files.score_maps import ScoreMaps, read_score_maps, write_score_maps
from monitor.files.spectrum_image import SpectrumImage


def some_maps(shape=(3, 4), card='{"schema": "eelswatch.card/1"}', **changes):
    score = np.random.default_rng(1).random(shape).astype("f4")
    score[0, 0] = np.nan
    fields = {
        "score": score,
        "p_value": np.exp(-score),
        "flag": score > 0.5,
        "energy_ev": 700 + score,
        "kind": np.arange(score.size).reshape(shape),
    }
    return ScoreMaps(card=card, **(fields | changes))


MORE = {"label": "|u1", "energy_lo_ev": "<f4", "energy_hi_ev": "<f4", "amount": "<f4", "amount_error": "<f4"}


def more_maps(shape=(3, 4)):
    """The maps that a model of today gives beside the promised ones."""
    return {name: np.full(shape, 2) for name in MORE} | {"drift_ev": np.linspace(-0.3, 0.3, shape[0])}


def test_an_archive_holds_labels_spans_amounts_and_the_drift_of_each_row_beside_them(tmp_path):
    maps = some_maps(**more_maps())
    write_score_maps(tmp_path / "maps.npz", maps)
    with np.load(tmp_path / "maps.npz", allow_pickle=False) as archive:
        types = {name: archive[name].dtype.str for name in (*MORE, "drift_ev")}
        assert types == MORE | {"drift_ev": "<f4"}
        assert archive["drift_ev"].shape == (3,)
    back = read_score_maps(tmp_path / "maps.npz")
    for name, values in maps.arrays().items():
        np.testing.assert_array_equal(getattr(back, name), values)


def test_a_drift_of_other_rows_than_the_maps_have_is_refused(tmp_path):
    with pytest.raises(DataError, match="one shape"):
        write_score_maps(tmp_path / "maps.npz", some_maps(drift_ev=np.zeros(4)))


@pytest.mark.parametrize("total", [None, np.full((3, 4), 1e5, "f4")])
def test_an_archive_holds_exactly_the_promised_arrays(tmp_path, total):
    maps = some_maps(total=total)
    write_score_maps(tmp_path / "maps.npz", maps)
    with np.load(tmp_path / "maps.npz", allow_pickle=False) as archive:
        types = {name: archive[name].dtype.str for name in archive.files if name != "card"}
        assert json.loads(str(archive["card"])) == {"schema": "eelswatch.card/1"}
    promised = {"score": "<f4", "p_value": "<f4", "flag": "|b1", "energy_ev": "<f4", "kind": "<i8"}
    assert types == (promised if total is None else promised | {"total": "<f4"})
    back = read_score_maps(tmp_path / "maps.npz")
    for name, values in maps.arrays().items():
        np.testing.assert_array_equal(getattr(back, name), values)
    assert back.card == maps.card


def test_maps_of_unlike_shapes_and_unknown_formats_are_refused(tmp_path):
    with pytest.raises(DataError, match="one shape"):
        write_score_maps(tmp_path / "maps.npz", some_maps(flag=np.zeros((2, 2), bool)))
    with pytest.raises(DataError, match="wanted"):
        write_score_maps(tmp_path / "maps.png", some_maps())
    assert list(tmp_path.iterdir()) == []


def test_reading_what_holds_no_maps_is_one_line(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    for name in ("other.npz", "broken.npz", "missing.npz"):
        with pytest.raises(DataError, match=name) as caught:
            read_score_maps(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_an_hspy_carries_the_calibration_of_its_source_and_loses_nothing(tmp_path):
    from rsciio.hspy import file_reader

    source = SpectrumImage(
        counts=np.ones((3, 4, 5)),
        energy=EnergyAxis(offset_ev=0.0, step_ev=1.0, size=5),
        title="a film",
        pixel_nm=(0.2, 0.3),
    )
    long_card = json.dumps({"knots": np.random.default_rng(0).random(9000).tolist(), "title": "µ"})
    maps = some_maps(card=long_card, total=np.ones((3, 4), "f4"), **more_maps())
    write_score_maps(tmp_path / "maps.hspy", maps, source)
    (signal,) = file_reader(str(tmp_path / "maps.hspy"))
    np.testing.assert_array_equal(signal["data"], maps.score)
    assert [(axis["scale"], axis["units"], axis["navigate"]) for axis in signal["axes"]] == [
        (0.2, "nm", False),
        (0.3, "nm", False),
    ]
    kept = signal["original_metadata"]["eelswatch"]
    for name in ("p_value", "flag", "energy_ev", "kind", "total", *more_maps()):
        np.testing.assert_array_equal(kept[name], maps.arrays()[name])
    assert "".join(kept["card"]) == long_card
