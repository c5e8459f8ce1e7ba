"""Rows that a strip holds for their neighbours' sake alone: left out as soon as nothing looks at them any more.

A strip's `halo` (2,) int64 says how many rows at its top and at its bottom are such; None: none are.
"""

from __future__ import annotations

import torch
from torch import Tensor

LAST = 2**31
"""Beyond the last row of any map."""


def within(x: Tensor, halo: Tensor | None, kept: int = 0, *, axis: int = 1) -> Tensor:
    """Tensor with rows along `axis`, with at most `kept` rows of its halo on either side."""
    if halo is None:
        return x
    above, below = (halo - kept).clamp_min(0).unbind()
    # An end that is counted from the last row needs no size: a node or two less for each of some dozen tensors.
    stop = torch.where(below > 0, -below, LAST)
    return x[(slice(None),) * axis + (slice(above, stop),)]


def rest(halo: Tensor | None, kept: int) -> Tensor | None:
    """The halo of what `within` gives."""
    return None if halo is None else halo.clamp_max(kept)


def framed(x: Tensor, halo: Tensor | None, kept: int, *, axis: int) -> Tensor:
    """Tensor with a row of zeros beyond its first and last one, for a look at one row up and down.

    Not where the halo has rows enough for `kept` of them to come out of it.
    """
    zero = torch.zeros_like(x.narrow(axis, 0, 1))
    if halo is None:
        return torch.cat((zero, x, zero), axis)
    top, bottom = ((slice(None),) * axis + (slice(0, rows),) for rows in (kept + 1 - halo).clamp(0, 1).unbind())
    return torch.cat((zero[top], x, zero[bottom]), axis)
