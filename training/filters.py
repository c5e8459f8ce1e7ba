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
BUMP_WIDTHS = ((0.7, 1), (1.5, 1), (3.0, 2), (6.0, 4))
"""Standard deviation of a Gaussian window and the stride it is evaluated at, in coarse channels."""
SHIFT_WINDOWS = ((5, 1), (9, 2), (17, 4))
"""Length of the window a shift is projected in and its stride, in coarse channels."""
TREND = 25
"""Coarse channels whose running mean is taken off before the slope: a slope without an edge is no shift."""
GATE = (0.5, 1.5)
"""Own evidence, in standard deviations, between which the evidence of 3 x 3 pixels fades in."""
FLOOR = 1.0
"""Counts added to each variance, so that a single count in a vacuum is no event."""


class FilterBank(nn.Module):
    """All filters on one pixel and on 3 x 3 pixels. Output columns are described by `channel` and `family`."""

    channel: Tensor
    family: Tensor
    spikes: Tensor
    bumps: Tensor
    boxes: Tensor
    slope: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        bumps, bump_at = _gaussians(channels)
        boxes, box_at = _boxes(channels)
        pairs, pair_at = _pairs(channels)
        self.register_buffer("spikes", pairs, persistent=False)
        self.register_buffer("bumps", bumps, persistent=False)
        self.register_buffer("boxes", boxes, persistent=False)
        self.register_buffer("slope", _slope(channels), persistent=False)
        at = [pair_at, bump_at, bump_at, box_at, box_at]
        self.sizes = [a.numel() for a in at]
        self.register_buffer("channel", torch.cat(at), persistent=False)
        self.register_buffer("family", torch.cat([torch.full_like(a, i) for i, a in enumerate(at)]), persistent=False)

    def forward(self, residual: Tensor, expected: Tensor) -> Tensor:
        """Evidence z (batch, row, column, filter) in standard deviations of counting noise, not yet standardised.

        `residual` and `expected` are effective counts, both 0 at missing pixels.
        """
        variance = expected + FLOOR
        slope = expected @ self.slope
        sigma = variance.sqrt()
        one = residual / sigma
        sigma_3 = pooled(variance).sqrt()
        three = pooled(residual) / sigma_3
        return torch.cat(
            (
                one @ self.spikes,
                one @ self.bumps,
                three @ self.bumps,
                self._shift(one, slope / sigma),
                self._shift(three, pooled(slope) / sigma_3),
            ),
            -1,
        )

    def _shift(self, whitened: Tensor, template: Tensor) -> Tensor:
        return (whitened * template) @ self.boxes / ((template * template) @ self.boxes + 1e-3).sqrt()

    def localised(self, z: Tensor) -> Tensor:
        """Strength of standardised evidence; that of 3 x 3 pixels counts as far as the pixel itself agrees."""
        spike, one, three, shift, shift_3 = z.split(self.sizes, -1)
        return torch.cat((spike.clamp_min(0.0), one.abs(), _gated(three, one), shift.abs(), _gated(shift_3, shift)), -1)


def pooled(x: Tensor) -> Tensor:
    """Sum over 3 x 3 pixels; outside the map counts as 0."""
    x = F.pad(x, (0, 0, 1, 1, 1, 1))
    x = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
    return x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]


def _gated(three: Tensor, one: Tensor) -> Tensor:
    low, high = GATE
    agreement = one * torch.sign(three)
    return three.abs() * ((agreement - low) / (high - low)).clamp(0.0, 1.0)


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


def _pairs(n: int) -> tuple[Tensor, Tensor]:
    """One channel, and two neighbours: what an X-ray that hits the detector fills."""
    single = torch.eye(n)
    double = _unit(single[:, :-1] + single[:, 1:])
    return torch.cat((single, double), 1), torch.cat((torch.arange(n), torch.arange(n - 1)))


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
