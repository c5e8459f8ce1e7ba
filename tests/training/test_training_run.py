import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter
from scipy.stats import rankdata
from small import small_film, training_set

from monitor.core.errors import ConfigError, DataError
from monitor.core.noise import NoiseEstimate
from monitor.core.noise_fit import fit_noise
from monitor.files.spectrum_image import read_spectrum_image, write_spectrum_image
from training.calibrate import score_map
from training.command import train
from training.data import Role
from training.families import EVIDENCE
from training.loop import fit
from training.run import finished_record, read_record
from training.standardise import CleanMaps
from training.suspects import without_suspects
from training.train import load_graph

QUICK = ["steps=300", "batch=4", "crop_rows=8", "crop_columns=16"]


def roc_area(score, truth):
    ranks = rankdata(score)
    positives = truth.sum()
    return (ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * (~truth).sum())


@pytest.fixture(scope="module")
def clean_map(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "clean.npz"
    write_spectrum_image(path, small_film(1, rows=48, columns=48).image)
    return path


@pytest.fixture(scope="module")
def run(clean_map):
    folder = clean_map.parent / "run"
    train([str(clean_map), *QUICK], output=folder, quiet=True)
    return folder


def test_a_moved_edge_in_a_scan_never_seen_is_found(run):
    graph, _, outcome = load_graph(run)
    scan = small_film(7, anomalous=True, rows=48, columns=48)
    scores = score_map(graph, scan.image.counts.astype(np.float32))
    assert roc_area(scores.score.numpy().ravel(), scan.truth.ravel()) > 0.95
    p = outcome.calibration.p_values(scores.score.numpy())
    assert np.median(p[scan.truth]) < 0.02
    assert np.median(p[~scan.truth]) > 0.2


def test_p_values_of_a_clean_scan_never_seen_hold(run):
    graph, _, outcome = load_graph(run)
    scan = small_film(8, rows=48, columns=48)
    p = outcome.calibration.p_values(score_map(graph, scan.image.counts.astype(np.float32)).score.numpy())
    assert 0.04 < (p < 0.1).mean() < 0.2


def test_of_a_map_to_learn_from_its_anomalies_and_their_neighbours_are_set_apart(run):
    graph, _, _ = load_graph(run)
    scan = small_film(7, anomalous=True, rows=48, columns=48)
    maps = training_set(scan.image.counts).maps
    left = without_suspects(graph, CleanMaps(maps, NoiseEstimate.of(fit_noise(maps[0].counts)))).maps[0].role
    apart = (left == Role.SUSPECT) | (left == Role.BESIDE)
    assert (left[scan.truth] == Role.SUSPECT).mean() > 0.5
    assert apart[scan.truth].mean() > 0.7
    assert apart[~maximum_filter(scan.truth, 3)].mean() < 0.05
    assert (left == maps[0].role)[~apart].all()


def test_a_rare_place_that_only_its_latent_tells_from_others_is_not_set_apart(run, monkeypatch):
    """An interface is as rare as an anomaly; but the network expects what it shows."""
    maps = training_set(small_film(8, rows=48, columns=48).image.counts).maps
    row, column = np.indices((48, 48))
    interface = column == 20
    strange = (row % 6 == 3) & (column % 6 == 5)
    scores = torch.from_numpy(np.random.default_rng(0).exponential(size=(48, 48)) + 50 * (strange | interface))
    kinds = torch.from_numpy(np.where(interface, EVIDENCE.index("latent"), EVIDENCE.index("shift")))
    monkeypatch.setattr("training.suspects.said_of_map", lambda *_: (scores, torch.zeros_like(kinds), kinds))
    graph, _, _ = load_graph(run)
    apart = without_suspects(graph, CleanMaps(maps, NoiseEstimate.of(fit_noise(maps[0].counts)))).maps[0].role
    assert (apart[strange] == Role.SUSPECT).all()
    assert not (apart[interface] == Role.SUSPECT).any()


def test_of_a_clean_map_to_learn_from_nothing_is_set_apart(run):
    graph, _, _ = load_graph(run)
    maps = training_set(small_film(8, rows=48, columns=48).image.counts).maps
    clean = CleanMaps(maps, NoiseEstimate.of(fit_noise(maps[0].counts)))
    assert without_suspects(graph, clean) is clean


def test_where_too_few_pixels_would_be_left_to_learn_from_none_is_set_apart(run, monkeypatch):
    graph, _, _ = load_graph(run)
    scan = small_film(7, anomalous=True, rows=48, columns=48)
    maps = training_set(scan.image.counts[:16, :16]).maps
    clean = CleanMaps(maps, NoiseEstimate.of(fit_noise(scan.image.counts)))
    assert without_suspects(graph, clean) is clean
    monkeypatch.setattr("training.suspects.FEWEST", 0)
    assert without_suspects(graph, clean) is not clean, "there are suspects, and pixels enough without that limit"


def test_a_map_that_holds_anomalies_is_learned_from_and_its_record_says_how_many(tmp_path):
    scan = small_film(7, anomalous=True, rows=48, columns=48)
    write_spectrum_image(tmp_path / "map.npz", scan.image)
    train([str(tmp_path / "map.npz"), *QUICK], output=tmp_path / "run", quiet=True)
    record, outcome = finished_record(tmp_path / "run")
    (left_out,) = (int(note.split()[0]) for note in record.notes if "left out of the calibration" in note)
    assert 0.5 * scan.truth.sum() < left_out < 2 * scan.truth.sum()
    graph, _, _ = load_graph(tmp_path / "run")
    other = small_film(9, anomalous=True, rows=48, columns=48)
    scores = score_map(graph, other.image.counts.astype(np.float32)).score.numpy()
    assert roc_area(scores.ravel(), other.truth.ravel()) > 0.95
    assert np.median(outcome.calibration.p_values(scores)[other.truth]) < 0.02


def test_all_clean_pixels_tell_how_the_tail_of_the_calibration_falls_off(run, clean_map):
    _, outcome = finished_record(run)
    rows, columns, _ = read_spectrum_image(clean_map).counts.shape
    assert outcome.calibration.pixels > 0.9 * rows * columns


def test_the_record_tells_how_the_model_came_about(run, clean_map):
    record, outcome = finished_record(run)
    assert record.config["steps"] == 300
    assert record.inputs[0].name == clean_map.name
    assert outcome.losses["chi2_per_dof"] == pytest.approx(1.0, abs=0.25)
    assert outcome.noise.gain == pytest.approx(1.0, abs=0.1)
    assert not (run / "checkpoint.pt").exists()


def test_a_finished_run_is_said_to_be_finished(run, clean_map, capsys):
    before = (run / "model.pt").read_bytes()
    train([str(clean_map), *QUICK], output=run)
    assert "finished already" in capsys.readouterr().out
    assert (run / "model.pt").read_bytes() == before
    train([str(clean_map), *QUICK], output=run, as_json=True)
    assert json.loads(capsys.readouterr().out)["config"]["steps"] == 300


def test_a_folder_of_other_settings_or_other_data_is_refused(run, clean_map, tmp_path):
    with pytest.raises(ConfigError, match=r"steps=300, now steps=170.*--restart"):
        train([str(clean_map), "steps=170", *QUICK[1:]], output=run, quiet=True)
    other = tmp_path / "other.npz"
    write_spectrum_image(other, small_film(9).image)
    with pytest.raises(ConfigError, match=r"other data \(clean\.npz\)"):
        train([str(other), *QUICK], output=run, quiet=True)


def test_a_run_older_than_a_setting_is_one_at_its_default(run, clean_map, tmp_path):
    old = tmp_path / "run"
    shutil.copytree(run, old)
    record = json.loads((old / "run.json").read_text())
    del record["config"]["loss"], record["config"]["model"]
    (old / "run.json").write_text(json.dumps(record))
    assert load_graph(old)[0].cvae.reach == load_graph(run)[0].cvae.reach
    train([str(clean_map), *QUICK], output=old, quiet=True)
    with pytest.raises(ConfigError, match="started with loss=elbo, now loss=mse"):
        train([str(clean_map), *QUICK, "loss=mse"], output=old, quiet=True)


def test_a_run_can_begin_again(clean_map, tmp_path):
    short = ["steps=2", "validate_every=1", "batch=1"]
    train([str(clean_map), *short], output=tmp_path / "run", quiet=True)
    train([str(clean_map), *short, "seed=4"], output=tmp_path / "run", restart=True, quiet=True)
    record = read_record(tmp_path / "run")
    assert record is not None
    assert record.config["seed"] == 4


def test_a_run_cut_off_while_it_is_trained_again_goes_on_there(clean_map, tmp_path, monkeypatch):
    """A part of the map is suspected, so the network is trained twice; the second time it is interrupted."""
    looked, trained = [], []

    def suspicious(graph, clean):
        looked.append(clean)
        roles = [np.where(np.indices(each.role.shape)[0] < 8, np.int8(Role.SUSPECT), each.role) for each in clean.maps]
        return clean._replace(maps=[replace(each, role=role) for each, role in zip(clean.maps, roles, strict=True)])

    def interrupted(*arguments, **named):
        trained.append(fit(*arguments, **named, stop_after=3 if len(trained) == 1 else None))
        if len(trained) == 2:
            raise KeyboardInterrupt
        return trained[-1]

    monkeypatch.setattr("training.train.without_suspects", suspicious)
    monkeypatch.setattr("training.train.teach", lambda *_: None)
    short = [str(clean_map), "steps=6", "validate_every=1", "batch=1"]
    train(short, output=tmp_path / "undisturbed", quiet=True)
    monkeypatch.setattr("training.train.fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(short, output=tmp_path / "run", quiet=True)
    train(short, output=tmp_path / "run", quiet=True)
    assert (len(trained), len(looked)) == (3, 2), "of a run that goes on the suspects are known"
    state, other = (load_graph(tmp_path / name)[0].state_dict() for name in ("undisturbed", "run"))
    torch.testing.assert_close(other, state, rtol=0, atol=0, equal_nan=True)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["model.pt", "run.json"]


def test_no_file_is_refused_and_an_unfinished_run_is_not_loaded(tmp_path):
    with pytest.raises(ConfigError, match="no spectrum image"):
        train(["steps=3"], output=tmp_path / "run")
    with pytest.raises(DataError, match="does not exist"):
        train([str(tmp_path / "nothing.npz")], output=tmp_path / "run")
    with pytest.raises(DataError, match="not a training run"):
        load_graph(tmp_path)
