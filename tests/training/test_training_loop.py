import numpy as np
import pytest
import torch
from small import small_film, training_set

from monitor.core.errors import ModelError
from monitor.core.noise_fit import fit_noise
from training.config import TrainConfig
from training.fresh import prepare
from training.loop import fit

CONFIG = TrainConfig(steps=12, batch=2, crop_rows=6, crop_columns=8, validate_every=4, checkpoint_s=1e-6)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data():
    return training_set(small_film(1).image.counts)


def fitted(data, config=CONFIG, **options):
    graph, maps = prepare(data, config, CPU, fit_noise(data.maps[0].counts))
    history = fit(graph, maps, config, **options)
    return graph.cvae.state_dict(), history


def test_a_run_that_was_cut_off_ends_in_the_weights_of_one_that_was_not(data, tmp_path):
    straight, straight_history = fitted(data)
    checkpoint = tmp_path / "checkpoint.pt"
    fitted(data, checkpoint=checkpoint, stop_after=3)
    fitted(data, checkpoint=checkpoint, stop_after=9)
    resumed, resumed_history = fitted(data, checkpoint=checkpoint)
    assert resumed_history == straight_history
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


def test_another_seed_gives_other_weights(data):
    one, _ = fitted(data)
    other, _ = fitted(data, CONFIG.model_copy(update={"seed": 5}))
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_refused_in_one_line(data, tmp_path, content):
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(content)
    with pytest.raises(ModelError, match="--restart") as fault:
        fitted(data, checkpoint=checkpoint)
    assert "\n" not in str(fault.value)


def test_it_stops_early_where_nothing_gets_better(data):
    impatient = CONFIG.model_copy(update={"steps": 200, "validate_every": 1, "patience": 1, "learning_rate": 1.0})
    _, history = fitted(data, impatient)
    assert history[-1].step < 200
    assert history[-1].validation >= min(item.validation for item in history)


@pytest.mark.parametrize(("gain", "scale"), [(17.0, 1.0), (0.5, 1.0), (1.0, 1e3), (1.0, 1e-6)])
def test_counts_of_any_gain_and_size_are_learned_at_a_chi_squared_near_one(gain, scale):
    clean = small_film(2).image.counts.astype(np.float64)
    smooth = np.broadcast_to(clean.mean((0, 1)), clean.shape)
    counts = scale * np.random.default_rng(0).normal(smooth, np.sqrt(gain * smooth))
    _, history = fitted(training_set(counts), CONFIG.model_copy(update={"steps": 60, "validate_every": 20}))
    assert history[-1].chi2_per_dof == pytest.approx(1.0, abs=0.15)


def test_the_progress_told_is_the_history_and_the_time_left_comes_to_nothing(data):
    told = []
    _, history = fitted(data, report=lambda progress, left: told.append((progress, left)))
    assert [progress for progress, _ in told] == history
    assert told[-1][1] == 0.0


@pytest.mark.parametrize(
    "settings",
    [{"model": "paper", "width": 4, "steps": 200}, {"loss": "ce", "steps": 80}, {"loss": "mse", "steps": 80}],
    ids=str,
)
def test_with_either_network_and_any_loss_it_learns_and_the_latent_does_not_collapse(data, settings):
    config = TrainConfig(batch=2, crop_rows=8, crop_columns=8, validate_every=10, **settings)
    graph, maps = prepare(data, config, CPU, fit_noise(data.maps[0].counts))
    history = fit(graph, maps, config)
    assert history[-1].validation < 0.6 * history[0].validation
    with torch.inference_mode():
        latent = graph.cvae.eval()(maps.coarse[0][None], maps.train[0][None]).mean
    assert float(latent.std((0, 2, 3, 4)).max()) > 0.5
