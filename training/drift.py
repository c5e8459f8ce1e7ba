"""A row's energy drift, followed from where the network's head left it.

First on the row's summed spectra, which cost next to nothing, then once on its pixels with each one's say cut off: a
moved edge is no drift. Tensors are (batch, row, column, energy); drift is (batch, row) in coarse channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.shift import SMALLEST_SHARE, channels_of, move, move_share, over_energy, over_row

ROW_STEPS = 3
PIXEL_STEPS = 6
CLIP = 1.5
"""Standard deviations beyond which a pixel's say grows no more (Huber, Ann. Math. Stat. 35, 73 (1964))."""
LARGEST_STEP = 1.0
"""Channels a Gauss-Newton step of a row's sum goes at most."""
SMALLEST_STEP = 0.5
"""Channels that the last step goes at most, along a straight line."""
SLIGHT = 1.0


def along_rows(coarse: Tensor, valid: Tensor, unshifted: Tensor, total: Tensor, drift: Tensor) -> tuple[Tensor, Tensor]:
    """The drift that explains each row's sum of counts best, and a factor (batch, row) that takes out what it adds.

    `unshifted` are the expected shares of `total` (..., 1) counts before any drift. A drift also moves counts into the
    window: with a steep background they would pass for a drift back.
    """
    counts = over_row(coarse, valid)[:, :, None]
    before = over_row(unshifted, valid * total[..., 0])[:, :, None]
    there = over_energy(before)
    share = before / there.clamp_min(SMALLEST_SHARE)
    for _ in range(ROW_STEPS):
        pull, weight, _ = _pull(counts, move_share(share, drift) * there, there, SLIGHT)
        drift = drift + (pull / (weight + SLIGHT))[..., 0].clamp(-LARGEST_STEP, LARGEST_STEP)
    return drift, 1.0 / over_energy(move(share, drift).clamp_min(SMALLEST_SHARE))[..., 0, 0]


def of_pixels(coarse: Tensor, valid: Tensor, expected: Tensor, total: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """What is left of the drift (batch, row) beside `expected`, `total` (..., 1) in all, as most of its pixels see it.

    Also the counts (batch, row, column, energy) that are expected with it.
    """
    pull, weight, twice = _pull(coarse, expected, total, floor)
    root = weight.sqrt().clamp_min(1e-6)
    z, most, both = pull / root, CLIP * valid, torch.stack((pull, weight), -1)
    left = torch.zeros_like(weight[..., :1])
    for _ in range(PIXEL_STEPS):
        say = most / (z - left * root).abs().clamp_min(CLIP)
        along, against = over_row(both, say).split(1, -1)
        left = along / (against + SLIGHT)
    left = left.squeeze(-1).clamp(-SMALLEST_STEP, SMALLEST_STEP)
    return left, (expected + twice * (0.5 * left[..., None, None])).clamp_min(0.0)


def _pull(counts: Tensor, expected: Tensor, total: Tensor, floor: float) -> tuple[Tensor, Tensor, Tensor]:
    """Gauss-Newton's numerator and denominator (batch, row, column) for a shift of `expected`; twice its change.

    Both sum to `total` (..., 1), or nearly: of a change only what is beside the spectrum itself can be seen.
    """
    twice = F.pad(expected[..., :-2] - expected[..., 2:], (1, 1))
    whitened = twice / (expected + floor)
    pull, weight = over_energy((counts - expected) * whitened), over_energy(twice * whitened)
    in_all = expected[..., :1] + expected[..., 1:2] - expected[..., -2:-1] - expected[..., -1:]
    beside = (weight - in_all * in_all / (total + floor * channels_of(expected))).clamp_min(0.0)
    return 0.5 * pull[..., 0], 0.25 * beside[..., 0], twice
