import pytest
import torch

from training.foreign import STRONGEST, with_foreign

ROWS, COLUMNS, CHANNELS = 40, 60, 50
EDGE = torch.zeros(CHANNELS, 1)
EDGE[20:30] = 1.0


def shown(*, seed=0, valid=None, level=1e4):
    """Crops of a flat spectrum, and what the network is shown in their place."""
    coarse = torch.full((8, ROWS, COLUMNS, CHANNELS), level)
    valid = torch.ones(coarse.shape[:3]) if valid is None else valid
    return coarse, with_foreign(coarse, valid, EDGE, torch.Generator().manual_seed(seed))


def changed(before, after):
    return (after - before)[..., 25].abs() > 0


def test_some_pixels_of_most_crops_hold_a_foreign_edge_and_nothing_else_changes():
    before, after = shown()
    share = changed(before, after).float().mean((1, 2))
    assert 0.3 < (share > 0).float().mean() < 1.0
    assert 0.0 < float(share.max()) < 0.4
    outside = torch.ones(CHANNELS, dtype=torch.bool)
    outside[20:30] = False
    assert torch.equal(before[..., outside], after[..., outside])


def test_an_edge_is_as_strong_as_its_standard_deviations_say_and_brings_its_own_noise():
    before, after = shown()
    deviations = ((after - before) / before.sqrt()).sum(-1)[changed(before, after)] / 10**0.5
    assert 0.8 * STRONGEST < float(deviations.max()) < STRONGEST + 1.0
    assert float(deviations.mean()) == pytest.approx(STRONGEST * 0.55, rel=0.3)


def test_missing_pixels_stay_as_they_are():
    valid = torch.ones(8, ROWS, COLUMNS)
    valid[:, :, ::2] = 0.0
    before, after = shown(valid=valid)
    assert not changed(before, after)[:, :, ::2].any()
    assert changed(before, after)[:, :, 1::2].any()


def test_the_same_dice_put_the_same_edges_in():
    assert torch.equal(shown(seed=3)[1], shown(seed=3)[1])
    assert not torch.equal(shown(seed=3)[1], shown(seed=4)[1])
