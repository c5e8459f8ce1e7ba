"""Crops of the maps: what a training step is shown beside the maps as they are."""

import pytest
import torch

from training import crops as made
from training.config import TrainConfig
from training.crops import FURTHEST, FURTHEST_EV, TrainingMaps, crops

CHANNELS = 60


@pytest.fixture
def only_drift(monkeypatch):
    for share in ("MORE_DOSE", "LESS_DOSE", "RETHICKENED"):
        monkeypatch.setattr(made, share, 0.0)


@pytest.mark.parametrize("coarse_ev", [0.8, -0.8, 0.2, 5.0])
def test_rows_of_some_crops_have_drifted_by_whole_channels_each_by_itself(only_drift, coarse_ev):
    a_ramp = torch.arange(CHANNELS, dtype=torch.float32).expand(12, 16, -1) + 100
    maps = TrainingMaps(coarse=(a_ramp,), train=(torch.ones(12, 16),), validate=(torch.zeros(12, 16),))
    shown, mask = crops(maps, coarse_ev, TrainConfig(batch=60, crop_rows=6, crop_columns=8), torch.Generator())
    assert mask.all()
    middle = slice(FURTHEST, -FURTHEST)
    moved = a_ramp[:6, :8, middle] - shown[..., middle]
    by = moved[:, :, 0, 0]
    assert torch.equal(moved, by[:, :, None, None].expand_as(moved))
    furthest = min(round(FURTHEST_EV / abs(coarse_ev)), FURTHEST)
    assert set(by.flatten().tolist()) == set(range(-furthest, furthest + 1))
    as_it_is = (by == 0).all(1)
    assert 0.4 < as_it_is.float().mean() < 0.8
    assert (by[~as_it_is].diff(dim=1) != 0).any()
