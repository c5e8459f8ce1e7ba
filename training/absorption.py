"""What is left of a change in a spectrum when the network and the mixtures have explained of it what they can.

Filters of that shape find the change better than filters of its own, and say truly how much of it there is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.scoring import ScoringGraph

ROWS, COLUMNS = 7, 21
"""Of a patch of one spectrum; its 3 x 3 pixels in the middle are changed."""
STRENGTH = 4.0
"""Standard deviations that the change of a pixel has in all."""
TOGETHER = 8
"""Changes tried in one call."""


@torch.no_grad()
def left_of(graph: ScoringGraph, share: Tensor, changes: Tensor) -> tuple[Tensor, Tensor]:
    """Of `changes` (channel, change) to spectra `share` (spectrum, channel): averages of what a pixel shows of them.

    Returns residuals over their noise (channel, change), and the effective counts (change,) that were added for them.
    """
    expected = (share * graph.cvae.usual_total.to(share))[:, None, None].repeat(1, ROWS, COLUMNS, 1)
    noise = expected[:, 0, 0].mean(0).clamp_min(1.0).sqrt()
    added = STRENGTH * changes / (changes / noise[:, None]).norm(dim=0)
    before = _middle(graph, expected)
    left = []
    for some in added.T.split(TOGETHER):
        changed = expected.repeat(len(some), 1, 1, 1, 1)
        changed[:, :, ROWS // 2 - 1 : ROWS // 2 + 2, COLUMNS // 2 - 1 : COLUMNS // 2 + 2] += some[:, None, None, None]
        left.append((_middle(graph, changed.flatten(0, 1)).unflatten(0, (len(some), -1)) - before).mean(1))
    return torch.cat(left).T, added.sum(0)


def _middle(graph: ScoringGraph, counts: Tensor) -> Tensor:
    """The residual over noise (patch, channel) that a pixel in the middle of each patch shows."""
    counts = counts.to(graph.gain)
    found = graph.found(counts, torch.ones_like(counts[..., 0]))
    return found.evidence.three[:, ROWS // 2, COLUMNS // 2].cpu() / 3.0
