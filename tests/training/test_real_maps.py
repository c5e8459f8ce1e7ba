import numpy as np
import pytest

from monitor.files.spectrum_image import read_spectrum_image
from training.calibrate import score_map
from training.command import train
from training.families import EVIDENCE
from training.labels import SPIKE
from training.train import load_graph


def trained_on_itself(path, folder):
    train([str(path), "steps=200", "crop_rows=8", "crop_columns=16"], output=folder, quiet=True)
    graph, record, outcome = load_graph(folder)
    counts = read_spectrum_image(path).counts.astype(np.float32)
    return score_map(graph, counts), record, outcome


def test_x_ray_spikes_are_labelled_in_the_very_map_the_model_has_learned_from_and_not_flagged(real_data, tmp_path):
    scores, record, outcome = trained_on_itself(real_data("CuZn_EELS_mapping_tutorial.hspy"), tmp_path / "run")
    label, kind = scores.label.numpy(), scores.kind.numpy()
    assert {tuple(at) for at in np.argwhere(label == SPIKE)} == {(39, 9), (42, 11)}
    assert not (label > SPIKE).any()
    p = outcome.calibration.p_values(scores.score.numpy())
    for pixel, energy_ev in (((39, 9), 1476.0), ((42, 11), 1076.0)):
        assert EVIDENCE[kind[pixel]] == "spike"
        assert record.energy.at(int(scores.energy_index.numpy()[pixel])) == pytest.approx(energy_ev, abs=10)
        assert p[pixel] > 0.01
    assert (kind == 0).sum() == 2
    assert outcome.noise.gain > 2


def test_a_quiet_map_with_correlated_channels_is_learned_and_gives_few_flags(real_data, tmp_path):
    scores, record, outcome = trained_on_itself(real_data("vcangadi1_25nm.dm3"), tmp_path / "run")
    assert record.energy.size == 1024
    assert outcome.noise.gain < 0.8
    assert outcome.noise.channel_correlation > 0.2
    assert (scores.label.numpy() > 0).sum() <= 4
    p = outcome.calibration.p_values(scores.score.numpy())
    assert np.isfinite(p).all()
    assert (p < 0.01).mean() < 0.08
