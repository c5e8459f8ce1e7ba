"""Rows that a strip holds for their neighbours' sake alone: left out as soon as nothing looks at them any more.

A strip's `halo` (2,) int64 says how many rows at its top and at its bottom are such; None: none are.
"""

from __future__ import annotations

from torch import Tensor


def within(x: Tensor, halo: Tensor | None, kept: int = 0) -> Tensor:
    """Tensor (batch, row, ...) with at most `kept` rows of its halo on either side."""
    if halo is None:
        return x
    left_out = (halo - kept).clamp_min(0)
    return x[:, left_out[0] : x.shape[1] - left_out[1]]


def rest(halo: Tensor | None, kept: int) -> Tensor | None:
    """The halo of what `within` gives."""
    return None if halo is None else halo.clamp_max(kept)
