"""Families on one footing: strengths levelled so that clean pixels reach the same in each, at any dose."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

DOSES = (0.25, 1.0, 4.0)
"""Times the training's dose at which clean pixels are looked at."""
MOST_STEPS = 2.0
SMALLEST_SCALE = 0.05


class Levels(nn.Module):
    """What clean pixels reach at each of `DOSES`.

    `middle` and `scale` (dose, family): the strength that half of them reach, and how fast fewer reach more.
    """

    middle: Tensor
    scale: Tensor

    def __init__(self, families: int) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(len(DOSES), families))
        self.register_buffer("scale", torch.ones(len(DOSES), families))

    @torch.no_grad()
    def align(self, row: int, offset: float, stretch: float) -> None:
        """Take `offset` off what comes out at a dose and divide the rest by `stretch`."""
        self.middle[row] += offset * self.scale[row]
        self.scale[row] *= stretch

    def forward(self, strength: Tensor, dose: Tensor) -> Tensor:
        """Strengths (..., family) as how far each is beyond the usual, in units common to all families.

        `dose` (..., 1) is relative to the training's.
        """
        middle, scale = self._usual(dose)
        return (strength - middle) / scale

    def strength(self, level: Tensor, dose: Tensor) -> Tensor:
        """The strength (..., family) that is as far beyond the usual as `level` (family,) says."""
        middle, scale = self._usual(dose)
        return middle + level * scale

    def _usual(self, dose: Tensor) -> tuple[Tensor, Tensor]:
        """Middle and scale (..., family). Between `DOSES` the logarithm of the dose decides.

        Below them nothing more is known, above them what a wrong expectation adds goes on to grow.
        """
        steps = dose.clamp_min(1e-6).log() / math.log(DOSES[-1])
        up, down = steps.clamp(0.0, MOST_STEPS), (-steps).clamp(0.0, 1.0)
        middle, scale = (
            table[1] + up * (table[2] - table[1]) + down * (table[0] - table[1]) for table in (self.middle, self.scale)
        )
        return middle, scale.clamp_min(SMALLEST_SCALE)
