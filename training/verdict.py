"""What the winning filter says: how much, with its standard error.

Tensors are (batch, row, column, ...). Amounts are per pixel: eV for a shift, detector counts for the others.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from training.filters import FLOOR, SHIFT, FilterBank, pooled

PIXELS_OF = (1, 1, 9, 1, 9)
"""How many pixels each family adds up."""


class Evidence(NamedTuple):
    """What the bank found: raw z and z in spreads of clean pixels by family, information of the shift families."""

    raw: tuple[Tensor, ...]
    standardised: tuple[Tensor, ...]
    information: tuple[Tensor, Tensor]
    expected: Tensor


def amounts(
    bank: FilterBank, evidence: Evidence, kind: Tensor, chosen: tuple[Tensor, ...], gain: Tensor, coarse_ev: Tensor
) -> Tensor:
    """Value and standard error (..., 2) of the filter `chosen` in each family, of which `kind` (...) won.

    `gain`: detector counts of an effective count, `coarse_ev`: the width of a coarse channel, signed.
    """
    width = (None, bank.bump_sums, bank.bump_sums)
    sigma = ((evidence.expected + FLOOR).sqrt(), (pooled(evidence.expected) + FLOOR).sqrt())
    both = []
    for family, at in enumerate(chosen):
        one = at[..., None]
        if family >= SHIFT:
            unit = evidence.information[family - SHIFT].gather(-1, one).rsqrt() * coarse_ev
        else:
            peak = bank.channel_of[family].to(kind.device)[at][..., None]
            spread = sigma[PIXELS_OF[family] > 1].gather(-1, peak)
            unit = spread * gain / PIXELS_OF[family]
            sums = width[family]
            unit = unit if sums is None else unit * sums[at][..., None]
        raw, z = (each[family].gather(-1, one) for each in (evidence.raw, evidence.standardised))
        spread_of_z = torch.where(z.abs() > 1e-6, (raw / z).abs(), 1.0)
        both.append(torch.cat((raw * unit, spread_of_z * unit.abs()), -1))
    return torch.stack(both, -2).gather(-2, kind[..., None, None].expand(*kind.shape, 1, 2))[..., 0, :]
