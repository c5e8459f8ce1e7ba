"""What the head that reads a row's drift is taught last: its map has hardly drifted."""

import numpy as np
import pytest
import torch
from small import small_film, training_set

from monitor.core.noise_fit import fit_noise
from training.config import TrainConfig
from training.fresh import prepare
from training.given_drift import FURTHEST, teach
from training.loop import fit
from training.shift import move

CONFIG = TrainConfig(steps=20, batch=2, crop_rows=6, crop_columns=12)


@pytest.fixture(scope="module")
def learned():
    data = training_set(small_film(1).image.counts)
    graph, maps = prepare(data, CONFIG, torch.device("cpu"), fit_noise(data.maps[0].counts))
    fit(graph, maps, CONFIG)
    return graph, maps


def test_before_it_learns_the_head_leaves_every_row_where_it_is():
    data = training_set(small_film(1).image.counts)
    graph, _ = prepare(data, CONFIG, torch.device("cpu"), fit_noise(data.maps[0].counts))
    coarse, valid, _ = graph.effective(torch.from_numpy(data.maps[0].counts)[None])
    assert torch.equal(graph.cvae.drift(coarse, valid), torch.zeros(1, coarse.shape[1]))


def test_a_drift_that_the_map_never_had_is_read_from_the_rows_of_another_specimen(learned):
    graph, maps = learned
    net = graph.eval().cvae
    counts = torch.from_numpy(small_film(2).image.counts.astype(np.float32))[None]
    coarse, valid, _ = graph.effective(counts)
    given = torch.linspace(-3, 3, counts.shape[1]).round()[None]
    moved, before = move(coarse, given), {name: each.clone() for name, each in net.state_dict().items()}
    with torch.no_grad():
        as_it_is, untaught = net.drift(coarse, valid), net.drift(moved, valid)
    teach(net, maps, CONFIG)
    with torch.no_grad():
        taught = net.drift(moved, valid)
    assert (untaught - as_it_is - given).abs().max() > 2
    assert (taught - as_it_is - given).abs().max() < 0.5
    changed = {name for name, each in net.state_dict().items() if not torch.equal(each, before[name])}
    assert changed
    assert all(name.startswith("row_shift.") for name in changed)
    assert given.abs().max() <= FURTHEST
