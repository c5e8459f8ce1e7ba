"""Plural scattering: what electrons that lose some eV once more to a plasmon add to a spectrum.

The low loss that would tell (Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed., 2011,
ch. 4) is not in a core-loss map; so losses of all sizes that plasmons have are tried.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.doses import noisy

LOSSES_EV = (8.0, 14.0, 22.0, 32.0, 46.0)
LOSS_WIDTH = 0.3
"""Standard deviation of a plasmon's loss over the loss."""
FARTHEST = 3.0
"""Standard deviations of a loss that are looked at: the tiny numbers beyond take a processor several times as long."""
LOWER_END_EV, MOST_DECAY = 10.0, 2.0
"""Over how many eV the decay at the lower end is read, and the most it is believed to be over so many."""


def lost_once(spectra: Tensor, loss_ev: float, step_ev: float) -> Tensor:
    """`spectra` (..., channel) after a loss around `loss_ev`, same shape; channels are `step_ev` apart (signed).

    Below the window they are taken to go on as they decay at its lower end.
    """
    if step_ev < 0:
        return lost_once(spectra.flip(-1), loss_ev, -step_ev).flip(-1)
    size, width = spectra.shape[-1], LOSS_WIDTH * loss_ev
    beyond = int((loss_ev + FARTHEST * width) / step_ev) + 1
    at = torch.arange(-beyond, size, dtype=spectra.dtype, device=spectra.device) * step_ev
    z = (at[beyond:, None] - at - loss_ev) / width
    kernel = torch.exp(-0.5 * z**2) * (z.abs() <= FARTHEST) * (step_ev / (width * math.tau**0.5))
    few = max(min(round(LOWER_END_EV / step_ev), size // 2), 1)
    low, next_low = spectra[..., :few].mean(-1, keepdim=True), spectra[..., few : 2 * few].mean(-1, keepdim=True)
    decay = (low.mean() / next_low.mean().clamp_min(1e-30)).clamp(1.0, MOST_DECAY).log() / (few * step_ev)
    entering = kernel[:, :beyond] @ (decay * ((few - 1) / 2 * step_ev - at[:beyond])).exp()
    return spectra @ kernel[:, beyond:].T + entering * low


def rethickened(coarse: Tensor, amount: float, loss_ev: float, step_ev: float, dice: torch.Generator) -> Tensor:
    """Effective counts (..., channel) as through a thicker specimen, or a thinner one where `amount` is below 0.

    So much of the spectrum after one more loss is added, with the noise that so many counts have.
    """
    added = amount * lost_once(coarse, loss_ev, step_ev)
    return noisy(coarse + added, added.abs(), dice)
