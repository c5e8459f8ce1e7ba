"""How far a fit is from the counts, weighed in one of three ways, plus beta KL.

Law: all three are in nats per effective count and 0 for a perfect fit, so that one beta means the same to each. Where
all pixels have the same counts `likelihood` and `cross_entropy` are the same number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from training.model import Normal


class Loss(NamedTuple):
    """Per effective count, so that it does not depend on the dose. `total` = `reconstruction` + beta x `divergence`."""

    total: Tensor
    reconstruction: Tensor
    divergence: Tensor


def likelihood(coarse: Tensor, valid: Tensor, share: Tensor) -> Tensor:
    """Negative log likelihood of multinomial counts (batch, row, column, coarse) over valid pixels.

    Relative to the counts' own entropy (a constant): 0 is a perfect fit, and the numbers keep their digits. A pixel
    weighs as much as it has counts; negative ones, which noise makes of few, weigh against, so that few are not taken
    for more than they are.
    """
    return _mean(_surprise(coarse, share), _total(coarse) * valid)


def cross_entropy(coarse: Tensor, valid: Tensor, share: Tensor) -> Tensor:
    """The paper's: each channel a class, the normalised counts the probabilities; relative to their entropy.

    A pixel weighs 1 whatever its counts, 0 where it has none: the noise of a dark one is learned as hard as a bright
    one's signal.
    """
    return _mean(_surprise(coarse, share), valid * (_total(coarse) >= 1.0))


def squared_error(coarse: Tensor, valid: Tensor, share: Tensor) -> Tensor:
    """Mean squared error of the normalised spectra of n channels, times n^2 / 2; pixels weigh as in `cross_entropy`.

    So scaled it is the cross-entropy of a flat spectrum to second order, and counting noise adds as much as there:
    about n / 2 nats a pixel.
    """
    squares = ((_own(coarse) - share) ** 2).sum(-1) * (0.5 * share.shape[-1])
    return _mean(squares, valid * (_total(coarse) >= 1.0))


RECONSTRUCTIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "elbo": likelihood,
    "ce": cross_entropy,
    "mse": squared_error,
}
"""By the name of the setting `loss`."""


def loss_named(name: str, coarse: Tensor, valid: Tensor, normal: Normal, *, beta: float) -> Loss:
    """The loss of effective counts (batch, row, column, coarse); with `elbo` it is the negative evidence bound.

    Kingma and Welling, arXiv 1312.6114, eq. 10 for the KL term. It is spread over the counts, as its pixel's are.
    """
    reconstruction = RECONSTRUCTIONS[name](coarse, valid, normal.share)
    mu, log_variance = normal.mean, normal.log_variance
    per_pixel = -0.5 * (1 + log_variance - mu**2 - log_variance.exp()).sum(1)[:, 0]
    divergence = (per_pixel * valid).sum() / (_total(coarse) * valid).sum().clamp_min(1.0)
    return Loss(reconstruction + beta * divergence, reconstruction, divergence)


def chi2_per_dof(coarse: Tensor, valid: Tensor, share: Tensor) -> Tensor:
    """Reduced chi-squared of effective counts; 1 where the gain is right and the fit perfect."""
    expected = share * coarse.sum(-1, keepdim=True).clamp_min(0.0)
    terms = (coarse - expected) ** 2 / expected.clamp_min(1.0)
    return ((terms.sum(-1) * valid).sum() / (valid.sum().clamp_min(1.0) * (coarse.shape[-1] - 1))).detach()


def _total(coarse: Tensor) -> Tensor:
    return coarse.clamp_min(0.0).sum(-1)


def _own(coarse: Tensor) -> Tensor:
    """The counts' own shares."""
    return coarse.clamp_min(0.0) / _total(coarse).clamp_min(1.0)[..., None]


def _surprise(coarse: Tensor, share: Tensor) -> Tensor:
    """Nats per count (batch, row, column) by which `share` explains the counts worse than their own shares do."""
    own = _own(coarse)
    surprise = own * own.clamp_min(1e-12).log() - coarse / _total(coarse).clamp_min(1.0)[..., None] * share.log()
    return surprise.sum(-1)


def _mean(x: Tensor, weight: Tensor) -> Tensor:
    return (x * weight).sum() / weight.sum().clamp_min(1.0)
