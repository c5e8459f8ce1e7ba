import pytest
import torch

from training.loss import RECONSTRUCTIONS, cross_entropy, likelihood, loss_named
from training.model import Normal

CHANNELS = 40
LOSSES = pytest.mark.parametrize("name", RECONSTRUCTIONS)
BRIGHT = 100.0


@pytest.fixture
def shares():
    """Two rows of three pixels, each with its own spectrum."""
    return torch.softmax(torch.randn(1, 2, 3, CHANNELS, generator=torch.Generator().manual_seed(0)), -1)


def everywhere(shares):
    return torch.ones(shares.shape[:-1])


def away_from(share, by=0.3):
    change = torch.randn(share.shape, generator=torch.Generator().manual_seed(1))
    return torch.softmax(share.log() + by * change, -1)


@LOSSES
def test_a_perfect_fit_is_nought_and_anything_else_is_more(shares, name):
    fit = RECONSTRUCTIONS[name]
    counts = shares * 1e4
    assert float(fit(counts, everywhere(shares), shares)) == pytest.approx(0.0, abs=1e-6)
    assert float(fit(counts, everywhere(shares), away_from(shares, 0.03))) > 1e-5


@LOSSES
def test_going_down_its_gradient_ends_at_the_normalised_counts(shares, name):
    logits = torch.zeros_like(shares, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.05)
    for _ in range(400):
        optimiser.zero_grad()
        RECONSTRUCTIONS[name](shares * 1e3, everywhere(shares), torch.softmax(logits, -1)).backward()
        optimiser.step()
    assert torch.allclose(torch.softmax(logits, -1), shares, atol=1e-3)


@pytest.mark.parametrize(("name", "weight"), [("elbo", BRIGHT), ("ce", 1.0), ("mse", 1.0)])
def test_a_bright_pixel_weighs_as_its_counts_in_the_likelihood_and_as_any_other_elsewhere(shares, name, weight):
    doses = torch.full(shares.shape[:-1], 1e3)
    doses[0, 0, 0] *= BRIGHT
    share = away_from(shares).requires_grad_()
    RECONSTRUCTIONS[name](shares * doses[..., None], everywhere(shares), share).backward()
    bright = share.grad[0, 0, 0].norm()
    doses[0, 0, 0] = 1e3
    even = away_from(shares).requires_grad_()
    RECONSTRUCTIONS[name](shares * doses[..., None], everywhere(shares), even).backward()
    ratio = (bright / share.grad[0, 1, 1].norm()) / (even.grad[0, 0, 0].norm() / even.grad[0, 1, 1].norm())
    assert float(ratio) == pytest.approx(weight, rel=1e-3)


@LOSSES
def test_what_is_missing_or_has_no_counts_says_nothing(shares, name):
    counts, valid = shares * 1e4, everywhere(shares)
    valid[0, 0, 1] = 0.0
    alone = RECONSTRUCTIONS[name](counts, valid, away_from(shares))
    counts[0, 0, 1] = 0.0
    assert torch.equal(RECONSTRUCTIONS[name](counts, valid, away_from(shares)), alone)
    assert torch.equal(RECONSTRUCTIONS[name](counts, everywhere(shares), away_from(shares)), alone)


def test_at_one_dose_the_likelihood_is_the_cross_entropy(shares):
    arguments = shares * 700, everywhere(shares), away_from(shares)
    assert float(likelihood(*arguments)) == pytest.approx(float(cross_entropy(*arguments)), rel=1e-5)


@LOSSES
def test_on_a_flat_spectrum_all_measure_counting_noise_alike(name):
    flat = torch.full((1, 20, 20, CHANNELS), 1.0 / CHANNELS)
    counts = torch.poisson(flat * 1e5, generator=torch.Generator().manual_seed(2))
    noise = float(RECONSTRUCTIONS[name](counts, everywhere(flat), flat))
    assert noise * 1e5 == pytest.approx(CHANNELS / 2, rel=0.05)


@LOSSES
def test_beta_adds_the_divergence_of_a_pixel_over_its_counts(shares, name):
    mean = torch.full((1, 4, 1, 2, 3), 2.0)
    normal = Normal(shares, mean, torch.zeros_like(mean), torch.zeros(1, 2))
    loss = loss_named(name, shares * 500, everywhere(shares), normal, beta=3.0)
    assert float(loss.divergence) == pytest.approx(4 * 2.0 / 500)
    assert float(loss.total) == pytest.approx(float(loss.reconstruction) + 3 * 8.0 / 500)
