"""A row's energy drift, followed from where the network's head left it.

First on the row's summed spectra, which cost next to nothing, then once on its pixels with each one's say cut off: a
moved edge is no drift. Tensors are (batch, row, column, energy); drift is (batch, row) in coarse channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.shift import move, over_energy, over_row

ROW_STEPS = 3
PIXEL_STEPS = 6
CLIP = 1.5
"""Standard deviations beyond which a pixel's say grows no more (Huber, Ann. Math. Stat. 35, 73 (1964))."""
LARGEST_STEP = 1.0
"""Channels a Gauss-Newton step goes at most."""
SLIGHT = 1.0


def along_rows(coarse: Tensor, valid: Tensor, unshifted: Tensor, drift: Tensor) -> Tensor:
    """The drift that explains each row's sum of counts best; `unshifted` are the expected counts before any drift."""
    counts, before = (over_row(x, valid)[:, :, None] for x in (coarse, unshifted))
    for _ in range(ROW_STEPS):
        pull, weight = _pull(counts, move(before, drift), SLIGHT)
        drift = drift + (pull / (weight + SLIGHT))[..., 0].clamp(-LARGEST_STEP, LARGEST_STEP)
    return drift


def of_pixels(coarse: Tensor, valid: Tensor, expected: Tensor, floor: float) -> Tensor:
    """What is left of the drift (batch, row) beside `expected`, as most of the row's pixels see it."""
    pull, weight = _pull(coarse, expected, floor)
    root = weight.sqrt().clamp_min(1e-6)
    z = pull / root
    left = torch.zeros_like(weight[..., :1])
    for _ in range(PIXEL_STEPS):
        say = CLIP / (z - left * root).abs().clamp_min(CLIP)
        row = over_row(torch.stack((say * pull, say * weight), -1), valid)
        left = (row[..., 0] / (row[..., 1] + SLIGHT))[..., None]
    return left[..., 0].clamp(-LARGEST_STEP, LARGEST_STEP)


def nudged(expected: Tensor, by: Tensor) -> Tensor:
    """Expected counts moved up by less than a channel, to second order; never below 0."""
    up = torch.cat((expected[..., :1], expected[..., :-1]), -1)
    down = torch.cat((expected[..., 1:], expected[..., -1:]), -1)
    d = by[..., None, None]
    return (0.5 * d * (d + 1.0) * up + 0.5 * d * (d - 1.0) * down + (1.0 - d * d) * expected).clamp_min(0.0)


def _pull(counts: Tensor, expected: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Gauss-Newton's numerator and denominator for a shift of `expected`, (batch, row, column)."""
    change = F.pad(expected[..., :-2] - expected[..., 2:], (1, 1)) * 0.5
    whitened = change / (expected + floor)
    return over_energy((counts - expected) * whitened)[..., 0], over_energy(change * whitened)[..., 0]
