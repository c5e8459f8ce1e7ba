"""Effective counts as more or less dose would have given them: thinned, or summed over 2 x 2 pixels."""

from __future__ import annotations

import torch
from torch import Tensor

SUMMED = 2
"""Pixels to each side that are added up for four times the dose."""


def noisy(mean: Tensor, variance: Tensor, dice: torch.Generator) -> Tensor:
    """Normal deviates of a mean and a variance, both (..., channel): counts over gain are no integers."""
    return mean + variance.sqrt() * torch.randn(mean.shape, generator=dice).to(mean.device)


def thinned(coarse: Tensor, share: float | Tensor, dice: torch.Generator) -> Tensor:
    """Effective counts as `share` of the dose would have given them: mean and variance both that share of theirs."""
    return noisy(coarse * share, coarse.clamp_min(0.0) * share * (1.0 - share), dice)


def summed(coarse: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over 2 x 2 pixels of (row, column, coarse) and its mask (row, column); all four must be there."""
    rows, columns = (size // SUMMED * SUMMED for size in mask.shape)
    counts = coarse[:rows, :columns].unflatten(0, (-1, SUMMED)).unflatten(2, (-1, SUMMED)).sum((1, 3))
    there = mask[:rows, :columns].unflatten(0, (-1, SUMMED)).unflatten(2, (-1, SUMMED)).amin((1, 3))
    return counts * there[..., None], there
