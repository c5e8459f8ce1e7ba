"""Foreign edges for the training to overlook: put into what the network sees, not into what it is to rebuild.

A network that has only seen what is normal explains half of a foreign element by thickness and mixtures it knows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.doses import noisy

CHANGED = 0.8
"""Share of the crops that hold any."""
CENTRES = 0.012
"""Share of the pixels that are the middle of one; as many pixels to either side as `RADII` draws."""
RADII = (0, 3)
STRONGEST = 10.0
"""Standard deviations that a foreign edge has in a pixel in all."""


def with_foreign(coarse: Tensor, valid: Tensor, edges: Tensor, dice: torch.Generator) -> Tensor:
    """Effective counts (batch, row, column, channel), one of the `edges` (channel, edge) added to some pixels of some.

    With the noise that so many counts have.
    """
    size = len(coarse)
    radius = int(torch.randint(RADII[0], RADII[1], (), generator=dice))
    middles = (torch.rand(coarse.shape[:3], generator=dice) < CENTRES) * torch.rand(coarse.shape[:3], generator=dice)
    strength = STRONGEST * F.max_pool2d(middles, 2 * radius + 1, 1, radius)
    strength = (strength * (torch.rand(size, 1, 1, generator=dice) < CHANGED)).to(coarse) * valid
    chosen = torch.randint(edges.shape[1], (size,), generator=dice).to(edges.device)
    changed = strength.nonzero(as_tuple=True)
    usual = coarse.sum((1, 2)) / valid.sum((1, 2)).clamp_min(1.0)[:, None]
    edge = edges[:, chosen].T
    unit = edge / (edge.square() / usual.clamp_min(1.0)).sum(-1, keepdim=True).sqrt()
    added = strength[changed][:, None] * unit[changed[0]]
    seen = coarse.clone()
    seen[changed] += noisy(added, added, dice)
    return seen
