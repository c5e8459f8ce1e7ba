"""The paper's cross-entropy with the counts kept as weights, which is the multinomial likelihood, plus beta KL."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from training.model import Normal


class Loss(NamedTuple):
    """Per effective count, so that it does not depend on the dose. `total` = `likelihood` + beta x `divergence`."""

    total: Tensor
    likelihood: Tensor
    divergence: Tensor


def elbo(coarse: Tensor, valid: Tensor, normal: Normal, *, beta: float) -> Loss:
    """Negative evidence bound of effective counts (batch, row, column, coarse) over valid pixels.

    The likelihood is taken relative to the counts' own entropy (a constant): 0 is a perfect fit, and the numbers keep
    their digits. Negative counts weigh nothing. Kingma and Welling, arXiv 1312.6114, eq. 10 for the KL term.
    """
    weight = coarse.clamp_min(0.0)
    total = weight.sum(-1, keepdim=True)
    own = weight / total.clamp_min(1.0)
    surprise = torch.where(weight > 0, own.clamp_min(1e-12).log() - normal.share.log(), torch.zeros_like(own))
    counts = (total[..., 0] * valid).sum().clamp_min(1.0)
    likelihood = ((weight * surprise).sum(-1) * valid).sum() / counts
    mu, log_variance = normal.mean, normal.log_variance
    per_pixel = -0.5 * (1 + log_variance - mu**2 - log_variance.exp()).sum(1)[:, 0]
    divergence = (per_pixel * valid).sum() / counts
    return Loss(likelihood + beta * divergence, likelihood, divergence)


def chi2_per_dof(coarse: Tensor, valid: Tensor, share: Tensor) -> Tensor:
    """Reduced chi-squared of effective counts; 1 where the gain is right and the fit perfect."""
    expected = share * coarse.sum(-1, keepdim=True).clamp_min(0.0)
    terms = (coarse - expected) ** 2 / expected.clamp_min(1.0)
    return ((terms.sum(-1) * valid).sum() / (valid.sum().clamp_min(1.0) * (coarse.shape[-1] - 1))).detach()
