"""The filter bank: from a residual spectrum to evidence at each energy, for several shapes of deviation.

Works on whitened residuals (residual over the standard deviation its counts should have), so a unit-norm filter of pure
noise has variance 1 whatever the composition. Tensors are (batch, row, column, energy or filter).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EVIDENCE = ("spike", "intensity", "intensity 3x3", "shift", "shift 3x3")
"""Names of the families; `kind` is an index into them."""
SHIFT, SHIFT_3 = 3, 4
BUMP_WIDTHS = ((0.7, 1), (1.5, 1), (3.0, 2), (6.0, 4))
"""Standard deviation of a Gaussian window and the stride it is evaluated at, in coarse channels."""
SHIFT_WINDOWS = ((5, 2), (9, 2), (17, 4))
"""Length of the window a shift is projected in and its stride, in coarse channels."""
TREND = 25
"""Coarse channels whose running mean is taken off before the slope: a slope without an edge is no shift."""
UNITS = ("counts", "counts", "counts", "eV", "eV")
"""What the amount of each family is in."""
SLIGHT = 1.0
"""Information about a shift of one channel, added to a window's own: where no edge is, its evidence fades to nothing.

Evidence of windows that could not show a shift would only raise the largest value that clean pixels reach.
"""
FINE = 256
"""Coarse channels beyond which windows stand twice as far apart."""
AGREEMENT = 3.0
"""How many times its own evidence a pixel is credited with from its 3 x 3 neighbourhood at most."""
FLOOR = 1.0
"""Counts added to each variance, so that a single count in a vacuum is no event."""


class FilterBank(nn.Module):
    """All filters on one pixel and on 3 x 3 pixels, family by family in the order of `EVIDENCE`.

    `channel_of[f]` is the coarse channel in the middle of each filter of family f. `noise` and `misfit` (filter,), all
    families in one row, are set from clean pixels: the variance that counting noise leaves in the evidence at any
    dose, and what a wrong expectation adds at the reference dose.
    """

    noise: Tensor
    misfit: Tensor
    level: Tensor
    bumps: Tensor
    bump_sums: Tensor
    boxes: Tensor
    slope: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        bumps, bump_at = _gaussians(channels)
        boxes, box_at = _boxes(channels)
        self.channel_of = (torch.arange(channels), bump_at, bump_at, box_at, box_at)
        self.sizes = [at.numel() for at in self.channel_of]
        bump_half, box_half = _half_widths(channels)
        self.half_width_of = (torch.zeros(channels, dtype=torch.long), bump_half, bump_half, box_half, box_half)
        self.register_buffer("bumps", bumps, persistent=False)
        self.register_buffer("bump_sums", bumps.sum(0), persistent=False)
        self.register_buffer("boxes", boxes, persistent=False)
        self.register_buffer("slope", _slope(channels), persistent=False)
        self.register_buffer("noise", torch.ones(sum(self.sizes)))
        self.register_buffer("misfit", torch.zeros(sum(self.sizes)))
        self.register_buffer("level", torch.ones(len(EVIDENCE)))

    def set_spread(self, noise: Tensor, misfit: Tensor) -> None:
        """Take the variances (filter,) that clean pixels show.

        A window without an edge is not stretched to the spread of those with one: its evidence says little, and is
        to stay little.
        """
        families = list(noise.split(self.sizes))
        for shift in (SHIFT, SHIFT_3):
            families[shift] = families[shift].clamp_min(float(families[shift].max()))
        self.noise.copy_(torch.cat(families))
        self.misfit.copy_(misfit)

    def forward(self, residual: Tensor, expected: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, Tensor]]:
        """Evidence z (batch, row, column, filter) of each family, in standard deviations of counting noise.

        `residual` and `expected` are effective counts, both 0 at missing pixels. Also the information of the two
        shift families: the inverse variance that counting leaves in a shift, in channels^-2.
        """
        slope = expected @ self.slope
        sigma = (expected + FLOOR).sqrt()
        one = residual / sigma
        sigma_3 = (pooled(expected) + FLOOR).sqrt()
        three = pooled(residual) / sigma_3
        shift, information = self._shift(one, slope / sigma)
        shift_3, information_3 = self._shift(three, pooled(slope) / sigma_3)
        z = (one, one @ self.bumps, three @ self.bumps, shift, shift_3)
        return z, (information, information_3)

    def _shift(self, whitened: Tensor, template: Tensor) -> tuple[Tensor, Tensor]:
        information = (template * template) @ self.boxes + SLIGHT
        return (whitened * template) @ self.boxes / information.sqrt(), information

    def standardised(self, z: tuple[Tensor, ...], dose: Tensor) -> tuple[Tensor, ...]:
        """Evidence in standard deviations of what clean pixels show; `dose` (..., 1) is relative to the reference.

        The variance of counting noise does not grow with dose in these units, that of a wrong expectation does. Below
        the reference nothing is taken off: there the network leans on what it knows and the tails grow wider.
        """
        weights = F.pad(dose.clamp_min(1.0), (1, 0), value=1.0)
        variances = torch.stack((self.noise, self.misfit)).split(self.sizes, -1)
        return tuple(each / (weights @ variance).sqrt() for each, variance in zip(z, variances, strict=True))

    def strength(self, z: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Strength of standardised evidence; that of 3 x 3 pixels counts as far as the pixel itself agrees.

        A spike adds counts, so that a lack of them in one channel is none. Each family is divided by its `level`: one
        that searches many places must not drown one that searches few.
        """
        spike, one, three, shift, shift_3 = z
        families = spike, one.abs(), _agreed(three, one), shift.abs(), _agreed(shift_3, shift)
        return tuple(family / level for family, level in zip(families, self.level, strict=True))

    def located(self, z: tuple[Tensor, ...], kind: Tensor, peak: Tensor) -> Tensor:
        """The coarse channel that evidence of `kind` is about, (batch, row, column); `peak` is its filter's middle.

        The window of a shift is wide and may hold its edge anywhere; what moved is where a narrow window of the same
        pixels deviates most.
        """
        one, three = (each[..., self.channels : 2 * self.channels].abs() for each in (z[1], z[2]))
        narrow = torch.where((kind == SHIFT_3)[..., None], three, one)
        inside = (torch.arange(self.channels, device=peak.device) - peak[..., None]).abs() <= SHIFT_WINDOWS[-1][0] // 2
        return torch.where(kind >= SHIFT, torch.where(inside, narrow, -1.0).argmax(-1), peak)


def pooled(x: Tensor) -> Tensor:
    """Sum over 3 x 3 pixels; outside the map counts as 0."""
    x = F.pad(x, (0, 0, 1, 1, 1, 1))
    x = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
    return x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]


def _agreed(three: Tensor, one: Tensor) -> Tensor:
    """At most AGREEMENT times the pixel's own evidence, 0 or less where the signs differ; without a step."""
    own = AGREEMENT * one
    return torch.maximum(torch.minimum(three, own), -torch.maximum(three, own))


def _spaced(stride: int, n: int) -> int:
    return stride if n <= FINE or stride == 1 else 2 * stride


def _unit(columns: Tensor) -> Tensor:
    return columns / columns.norm(dim=0, keepdim=True)


def _gaussians(n: int) -> tuple[Tensor, Tensor]:
    e = torch.arange(n, dtype=torch.float32)[:, None]
    at = [torch.arange((stride - 1) // 2, n, _spaced(stride, n)) for _, stride in BUMP_WIDTHS]
    windows = [
        torch.exp(-0.5 * ((e - c) / w) ** 2) * ((e - c).abs() <= 4 * w)
        for (w, _), c in zip(BUMP_WIDTHS, at, strict=True)
    ]
    return _unit(torch.cat(windows, 1)), torch.cat(at)


def _half_widths(n: int) -> tuple[Tensor, Tensor]:
    """Channels to either side that a window is about: two standard deviations of a Gaussian, half of a box."""
    bumps = [torch.full((len(range((s - 1) // 2, n, _spaced(s, n))),), round(2 * w)) for w, s in BUMP_WIDTHS]
    boxes = [torch.full((len(range((s - 1) // 2, n, _spaced(s, n))),), w // 2) for w, s in SHIFT_WINDOWS]
    return torch.cat(bumps), torch.cat(boxes)


def _boxes(n: int) -> tuple[Tensor, Tensor]:
    e = torch.arange(n)[:, None]
    at = [torch.arange((stride - 1) // 2, n, _spaced(stride, n)) for _, stride in SHIFT_WINDOWS]
    windows = [((e - c).abs() <= w // 2).float() for (w, _), c in zip(SHIFT_WINDOWS, at, strict=True)]
    return torch.cat(windows, 1), torch.cat(at)


def _slope(n: int) -> Tensor:
    """Matrix that takes an expected spectrum to its change with a shift of +1 channel, slow trend taken off."""
    e = torch.arange(n)
    window = ((e[:, None] - e).abs() <= TREND // 2).float()
    detrend = torch.eye(n) - window / window.sum(0, keepdim=True)
    gradient = torch.zeros(n, n)
    for to in range(n):
        lo, hi = max(to - 1, 0), min(to + 1, n - 1)
        gradient[lo, to] += 1.0 / (hi - lo)
        gradient[hi, to] -= 1.0 / (hi - lo)
    return detrend @ gradient
