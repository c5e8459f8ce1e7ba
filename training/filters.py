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
    bumps: Tensor
    boxes: Tensor
    slope: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        bumps, bump_at = _gaussians(channels)
        boxes, box_at = _boxes(channels)
        self.channel_of = (torch.arange(channels), bump_at, bump_at, box_at, box_at)
        self.sizes = [at.numel() for at in self.channel_of]
        self.register_buffer("bumps", bumps, persistent=False)
        self.register_buffer("boxes", boxes, persistent=False)
        self.register_buffer("slope", _slope(channels), persistent=False)
        self.register_buffer("noise", torch.ones(sum(self.sizes)))
        self.register_buffer("misfit", torch.zeros(sum(self.sizes)))

    def forward(self, residual: Tensor, expected: Tensor) -> tuple[Tensor, ...]:
        """Evidence z (batch, row, column, filter) of each family, in standard deviations of counting noise.

        `residual` and `expected` are effective counts, both 0 at missing pixels.
        """
        slope = expected @ self.slope
        sigma = (expected + FLOOR).sqrt()
        one = residual / sigma
        sigma_3 = (pooled(expected) + FLOOR).sqrt()
        three = pooled(residual) / sigma_3
        return (
            one,
            one @ self.bumps,
            three @ self.bumps,
            self._shift(one, slope / sigma),
            self._shift(three, pooled(slope) / sigma_3),
        )

    def _shift(self, whitened: Tensor, template: Tensor) -> Tensor:
        return (whitened * template) @ self.boxes / ((template * template) @ self.boxes + 1e-3).sqrt()

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

        A spike adds counts, so that a lack of them in one channel is none.
        """
        spike, one, three, shift, shift_3 = z
        return spike, one.abs(), _agreed(three, one), shift.abs(), _agreed(shift_3, shift)

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


def _unit(columns: Tensor) -> Tensor:
    return columns / columns.norm(dim=0, keepdim=True)


def _gaussians(n: int) -> tuple[Tensor, Tensor]:
    e = torch.arange(n, dtype=torch.float32)[:, None]
    at = [torch.arange((stride - 1) // 2, n, stride) for _, stride in BUMP_WIDTHS]
    windows = [
        torch.exp(-0.5 * ((e - c) / w) ** 2) * ((e - c).abs() <= 4 * w)
        for (w, _), c in zip(BUMP_WIDTHS, at, strict=True)
    ]
    return _unit(torch.cat(windows, 1)), torch.cat(at)


def _boxes(n: int) -> tuple[Tensor, Tensor]:
    e = torch.arange(n)[:, None]
    at = [torch.arange((stride - 1) // 2, n, stride) for _, stride in SHIFT_WINDOWS]
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
