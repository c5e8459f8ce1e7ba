import numpy as np
import pytest
import torch

from monitor.core.axes import EnergyAxis
from training.config import TrainConfig
from training.convolution import LONGEST, Convolution, Expansion
from training.fresh import new_graph

SMALL = TrainConfig(model="paper", width=2, latent=3)


def network(channels=61, config=SMALL):
    torch.manual_seed(0)
    return new_graph(EnergyAxis(offset_ev=420.0, step_ev=1.0, size=channels), config).cvae.eval()


def test_at_a_width_of_32_features_and_kernels_are_the_published_ones():
    net = network(240, TrainConfig(model="paper", width=32, latent=40))
    layers = [net.encode_1, net.encode_2, net.encode_3, net.encode_4, net.dense]
    assert [layer.out_channels for layer in layers] == [32, 64, 128, 256, 512]
    assert [layer.kernel_size for layer in layers[:4]] == [(7, 1, 1), (5, 3, 3), (3, 3, 3), (3, 3, 3)]
    assert net.collapse.out_channels == 2 * 40


@pytest.mark.parametrize("channels", [16, 61, 240, 300])
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 4)])
def test_a_map_of_any_size_has_a_share_for_each_channel(channels, size):
    net, coarse = network(channels), torch.poisson(torch.full((2, *size, channels), 100.0))
    with torch.inference_mode():
        normal = net(coarse, torch.ones(2, *size))
    assert normal.share.shape == (2, *size, channels)
    assert torch.allclose(normal.share.sum(-1), torch.ones(2, *size), atol=1e-5)
    assert normal.mean.shape == normal.log_variance.shape == (2, 3, 1, *size)
    assert normal.drift.shape == (2, size[0])


def test_a_pixel_is_seen_as_far_as_its_reach_and_no_further():
    net, coarse = network(), torch.poisson(torch.full((1, 15, 15, 61), 100.0))
    changed = coarse.clone()
    changed[0, 7, 7, 20:30] *= 3.0
    drift, valid = torch.zeros(1, 15), torch.ones(1, 15, 15)
    with torch.inference_mode():
        before, after = (
            net.encode(net.view(x, total, valid, drift), valid, total)[0][0, :, 0]
            for x, total in ((each, each.sum(-1, keepdim=True)) for each in (coarse, changed))
        )
    seen = (before != after).any(0).numpy()
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (7 - net.reach, 7 + net.reach) * 2


def test_missing_pixels_are_the_same_as_the_outside_of_the_map():
    net, coarse = network(), torch.poisson(torch.full((1, 6, 6, 61), 100.0))
    framed, valid = torch.zeros(1, 10, 10, 61), torch.zeros(1, 10, 10)
    framed[:, 2:8, 2:8], valid[:, 2:8, 2:8] = coarse, 1.0
    with torch.inference_mode():
        alone, inside = net(coarse, torch.ones(1, 6, 6)), net(framed, valid)
    assert torch.allclose(inside.share[:, 2:8, 2:8], alone.share, rtol=1e-5)


@pytest.mark.parametrize(
    "layer", [Convolution(150, 4, (3, 3, 3), (2, 1, 1), 1), Expansion(150, 4, (3, 1, 1))], ids=repr
)
def test_short_products_add_up_to_the_whole_convolution(layer):
    x = torch.randn(2, layer.in_channels, 7, 4, 5)
    with torch.inference_mode():
        assert torch.allclose(layer.eval()(x), layer.train()(x), atol=1e-4)
    assert layer.in_channels > LONGEST
