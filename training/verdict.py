"""What the winning filter says: where, how much, with its standard error.

Tensors are (batch, row, column, ...). Amounts are per pixel: eV for a shift, detector counts for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from training.bank import FilterBank
from training.families import FAMILIES
from training.filters import taken
from training.moved_edges import SLIGHT

if TYPE_CHECKING:
    from training.evidence import Found

SHIFTS = ("shift", "shift 3x3")
LEAST_INFORMATION = 1e-3


class Verdict(NamedTuple):
    """`at`, `half` (...) the coarse channel it is about and how far it reaches to either side; `amount` (..., 2)."""

    at: Tensor
    half: Tensor
    amount: Tensor


def verdicts(bank: FilterBank, found: Found, best: Tensor, gain: Tensor, coarse_ev: float) -> Verdict:
    """Of the family `best` (...); `gain`: detector counts of an effective count, `coarse_ev`: of a channel, signed."""
    z, filters = found.peaks.z, found.peaks.chosen
    filter_of_best = taken(filters, best)
    row = bank.first[best] + filter_of_best
    at, unit = bank.about[row], bank.unit[row]
    counts = taken(found.sigma, at) * gain
    one, three = (
        taken(known, filters[..., FAMILIES.index(family)]).clamp_min(LEAST_INFORMATION)
        for known, family in zip(found.evidence.information, SHIFTS, strict=True)
    )
    known = torch.where(best == FAMILIES.index(SHIFTS[0]), one, three)
    is_shift = bank.moves[row]
    error = unit.abs() * torch.where(is_shift, known.rsqrt() * abs(coarse_ev), counts)
    way = torch.where(is_shift, unit.sign() * (1.0 if coarse_ev > 0 else -1.0), 1.0)
    # A shift's evidence is its amount over the error, but for the slight information that was added to it.
    value = taken(z, best) * way * error * torch.where(is_shift, (1.0 + SLIGHT / known).sqrt(), 1.0)
    return Verdict(at, bank.reach[row], torch.stack((value, error), -1))
