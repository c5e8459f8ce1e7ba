"""A new mixture of known spectra is normal: what a residual shares with the usual variation is taken out of it.

The network knows the thickness and the mixtures of its training; here they may go on further the same way.
All is seen through the noise of the usual spectrum, so that a difference of two spectra is taken out whole wherever
it is met. Tensors are (batch, row, column, ...).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.filters import unit
from training.plural_scattering import LOSSES_EV, lost_once

KNOWN, LEFT, THINNER = 4, 2, 1
"""Most directions taken from what the network expects, from what it leaves, and what it leaves of thinner places."""
LEAST_SHARE = 0.025
"""Of the variation of what is expected, that a direction must hold. The fourth of a film on its substrate held .049 to
.053 in seven trainings, the fifth .003 to .008, though one pixel in 25 of a map was anomalous."""
LEAST_SIZE = 0.01
"""Of a plausible change beside the largest, to be one of its own."""
ABOVE_NOISE = 1.1
"""How far beyond the largest variance of pure noise that of a direction must be."""
INSIDE = 0.995
"""Quantile of the training's pixels up to which a mixture is known; down to as many of the others."""
MISJUDGED = 0.2
"""Of how far a pixel lies beyond that, what its expectation is wrong by, both in standard deviations of a unit filter:
.05 to .2 in six trainings where the specimen was up to 3.5 times as thick."""
BACKGROUND = 3
FURTHER, FURTHER_LEFT = 6.0, 1.5
"""How many times the variance of the training a mixture may have; what is left has been seen in thicker specimens."""


class Mixtures(nn.Module):
    """`direction` (channel, direction) of unit norm or 0, seen through the noise of the share `usual` (channel,).

    `signal` (direction,): variance along it that is allowed over that of the noise, at the usual dose.
    `reach` (2, known direction): from where to where along it the training's own pixels lie, in shares seen so.
    """

    usual: Tensor
    direction: Tensor
    signal: Tensor
    reach: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("usual", torch.full((channels,), 1.0 / channels))
        self.register_buffer("direction", torch.zeros(channels, KNOWN + LEFT + THINNER))
        self.register_buffer("signal", torch.zeros(KNOWN + LEFT + THINNER))
        self.register_buffer("reach", torch.tensor([[-torch.inf], [torch.inf]]).repeat(1, KNOWN))

    def learn_expected(self, share: Tensor, total: float) -> None:
        """From expected shares (pixel, channel) at `total` effective counts.

        Each pixel counts the same however far it is from the middle (spatial signs: Locantore et al., Test 8, 1
        (1999)), so that a few anomalies make no direction of their own.
        """
        middle = share.median(0).values
        self.usual.copy_(middle.clamp_min(1e-3 * middle.mean()))
        apart = (share - middle) / self.usual.sqrt()
        length = apart.norm(dim=1, keepdim=True)
        signs = apart / length.clamp_min(length.median() * 0.1)
        values, vectors = torch.linalg.eigh(signs.T @ signs / len(signs))
        kept = vectors[:, -KNOWN:] * (values[-KNOWN:] >= LEAST_SHARE * values.sum())
        spread = (apart @ kept).abs().median(0).values * 1.4826
        self.direction[:, :KNOWN], self.signal[:KNOWN] = kept, FURTHER * total * spread**2
        self.direction[:, KNOWN:], self.signal[KNOWN:] = 0.0, 0.0

    def learn_reach(self, share: Tensor) -> None:
        """From expected shares (pixel, channel) of the maps as they are."""
        self.reach.copy_(self._known(share).quantile(torch.tensor([1.0 - INSIDE, INSIDE]), dim=0))

    def learn_left(self, residual: Tensor, pixels: int, spectra: Tensor, step_ev: float) -> None:
        """From residuals in the usual noise (sum, channel), of `pixels` each: faint variation that the network leaves.

        Looked for among what a change of thickness can do to `spectra` (spectrum, channel). Variance beyond what noise
        reaches (Marchenko and Pastur, 1967) is signal.
        """
        known = self.direction[:, :KNOWN]
        plausible = plausible_changes(spectra, step_ev) / self.usual.sqrt()[:, None]
        plausible = plausible - known @ (known.T @ plausible)
        left, values, _ = torch.linalg.svd(unit(plausible), full_matrices=False)
        basis = left[:, values > LEAST_SIZE * values[0]]
        seen = residual @ basis
        values, vectors = torch.linalg.eigh(seen.T @ seen / len(seen))
        noise = residual.square().mean()
        edge = noise * (1.0 + (values.numel() * pixels / len(residual)) ** 0.5) ** 2 * ABOVE_NOISE
        kept = values[-LEFT:] > edge
        self.direction[:, KNOWN:-THINNER] = basis @ vectors[:, -LEFT:] * kept
        self.signal[KNOWN:-THINNER] = FURTHER_LEFT * (values[-LEFT:] / noise - 1.0).clamp_min(0.0) / pixels * kept

    def learn_thinner(self, residual: Tensor, pixels: int) -> None:
        """From residuals in the usual noise (sum, channel), of `pixels` each, of a thinner specimen: their mean.

        The network has learned from few thin places and errs there in one way, which many pixels tell well; what the
        mean of noise would be, of sums that overlap, is no signal.
        """
        known, mean = self.direction[:, :-THINNER], residual.mean(0)
        apart = mean - known @ (known.T @ mean)
        noise = (residual - mean).square().mean()
        by_chance = noise * pixels * mean.numel() / len(residual)
        self.direction[:, -THINNER:] = unit(apart[:, None])
        self.signal[-THINNER:] = (apart.square().sum() - by_chance).clamp_min(0.0) / noise / pixels

    def forward(self, residual: Tensor, dose: Tensor) -> Tensor:
        """Residual counts without their usual variation, as far as noise lets it be told at `dose` (..., 1)."""
        root = self.usual.sqrt()[:, None]
        signal = self.signal * dose
        return residual - ((residual @ (self.direction / root)) * (signal / (1.0 + signal))) @ (self.direction * root).T

    def doubt(self, share: Tensor, total: Tensor, pixels: Sequence[int]) -> Tensor:
        """How many times wider evidence spreads where the mixture is beyond those of the training (..., family).

        `share` (..., channel) is expected of `total` (..., 1) effective counts; a family adds up so many `pixels`.
        """
        known, (low, high) = self._known(share), self.reach
        beyond = torch.maximum(known - high, low - known).clamp_min(0.0) * MISJUDGED * total.sqrt()
        return (1.0 + beyond.square().sum(-1, keepdim=True) * torch.tensor(pixels, device=share.device)).sqrt()

    def _known(self, share: Tensor) -> Tensor:
        """Where shares lie along the known directions (..., known direction)."""
        return ((share - self.usual) / self.usual.sqrt()) @ self.direction[:, :KNOWN]


def plausible_changes(spectra: Tensor, step_ev: float) -> Tensor:
    """What losing some eV once more adds to `spectra` (spectrum, channel), as columns (channel, change).

    The low loss is not known, so every loss that plasmons have is tried; and so are slow changes of the background.
    """
    at = torch.arange(spectra.shape[1], dtype=spectra.dtype) * step_ev
    columns = [spectrum * (at / at[-1]) ** power for power in range(BACKGROUND) for spectrum in spectra]
    for loss in LOSSES_EV:
        columns += lost_once(spectra, loss, step_ev).unbind()
    return torch.stack(columns, 1)
