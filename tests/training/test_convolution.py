import pytest
import torch

from training.convolution import Readout


@pytest.mark.parametrize("channels", [5, 128, 300])
def test_a_readout_is_one_product_over_each_pixels_own_spectrum(channels):
    readout = Readout(channels, 4)
    x = torch.randn(2, 3, 6, channels, generator=torch.Generator().manual_seed(0))
    assert not readout(x).any()
    torch.nn.init.normal_(readout.weight, generator=torch.Generator().manual_seed(1))
    features = readout(x)
    assert features.shape == (2, 4, 1, 3, 6)
    alone = x[1, 2, 4] @ readout.weight
    torch.testing.assert_close(features[1, :, 0, 2, 4], alone)
