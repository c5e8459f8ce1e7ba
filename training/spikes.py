"""X-ray spikes in a few suspected pixels: the test of `monitor.core.spikes`, written for the scoring graph.

A spike is narrow, in one pixel, and tops all that the pixels beside it hold at energies near it: an edge that has moved
has its like there. Tensors are (pixel, ...) of the suspects alone, so that a test of many steps costs next to nothing.
Law: a verdict rests on the pixel and its eight neighbours, to the last bit, whatever other suspects there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from training.shift import channels_of, over_energy

SPIKE_SIGMA = 10.0
TALLER = 1.2
"""A spike tops its surroundings by at least a fifth; less is a peak that is a little sharper."""
NARROW = 0.5
"""Two channels away no more than this share of a spike is left; a peak that has moved further is wider."""
NEAR = 12
"""Channels to either side in which a spike must top everything."""
REACH = 2
"""Channels to either side that a spike may reach into, its tail in the detector included; they are mended."""
ALIKE = 0.1
"""A neighbour with a smaller share of the pixel's brightness is another thing and no witness."""
ROUNDS = 3
"""Spikes looked for in one pixel."""
CENTRE, NEIGHBOURS = 4, [0, 1, 2, 3, 5, 6, 7, 8]
"""Places of the pixel itself and of the others among its 3 x 3."""


class Spikes(NamedTuple):
    """`spectra` (pixel, energy) mended; `found` (pixel,) bool; of the highest one `channel` (pixel,), `excess`.

    `excess` (pixel, 2): counts above what the neighbours hold, and their standard error.
    """

    spectra: Tensor
    found: Tensor
    channel: Tensor
    excess: Tensor


class _Verdict(NamedTuple):
    sigma: Tensor
    excess: Tensor
    mended: Tensor


def variance(noise: Tensor, expected: Tensor) -> Tensor:
    """Of counts where `expected` are expected; `noise` (3,) is floor, gain, over-dispersion. At least of one count."""
    mean = expected.clamp_min(1.0)
    return noise[0] + mean * (noise[1] + mean * noise[2])


def tested(block: Tensor, present: Tensor, suspicion: Tensor, noise: Tensor) -> Spikes:
    """The spikes of some pixels, the most suspected channel first.

    `block` (pixel, 9, energy) counts of their 3 x 3 pixels, row by row, `present` (pixel, 9) bool; `suspicion`
    (pixel, energy) is how sharply a channel stands out, above 1 where it is worth a look.
    """
    own = block[:, CENTRE]
    at = torch.arange(channels_of(own), device=own.device)
    highest = torch.zeros_like(own[:, 0])
    channel = torch.zeros_like(suspicion[:, 0], dtype=torch.long)
    excess = torch.zeros_like(own[:, :2])
    for _ in range(ROUNDS):
        where = suspicion.argmax(-1)
        verdict = _judged(own, block, present, where, noise)
        looked_at = suspicion.amax(-1) > 1.0
        higher = looked_at & (verdict.sigma > highest)
        highest = torch.where(higher, verdict.sigma, highest)
        channel = torch.where(higher, where, channel)
        excess = torch.where(higher[:, None], verdict.excess, excess)
        own = torch.where(looked_at[:, None], verdict.mended, own)
        suspicion = torch.where((at - where[:, None]).abs() <= REACH, -1.0, suspicion)
    return Spikes(own, highest > 0, channel, excess)


def _judged(own: Tensor, block: Tensor, present: Tensor, channel: Tensor, noise: Tensor) -> _Verdict:
    """Is there a spike at `channel` (pixel,) of `own` (pixel, energy)? `sigma` is 0 where there is none."""
    size = min(2 * NEAR + 1, channels_of(own))
    first = (channel - NEAR).clamp(0, channels_of(own) - size)
    index = first[:, None] + torch.arange(size, device=own.device)
    away = (index - channel[:, None]).abs()
    here = own.gather(-1, index)
    around = block.gather(-1, index[:, None].expand(-1, 9, -1))
    rest = (away > REACH).to(own.dtype)

    # One count a channel more on either side: in a vacuum there is no brightness to divide by.
    brightness = over_energy(around * rest[:, None]).clamp_min(0.0) + over_energy(rest)[:, None]
    of_own = over_energy(here * rest)[:, None].clamp_min(0.0) + over_energy(rest)[:, None]
    witness = present[..., None] & (brightness > ALIKE * of_own)
    alike = torch.where(witness, around * (of_own / brightness), 0.0)
    neighbours = alike[:, NEIGHBOURS]
    top = neighbours.amax(1).amax(-1)
    witnesses = witness[:, NEIGHBOURS].to(own.dtype).sum(1)
    mean = _added(neighbours.unbind(1)) / witnesses.clamp_min(1.0)

    above = here - mean
    height = own.gather(-1, channel[:, None])[:, 0]
    peak = above.gather(-1, (channel - first)[:, None])[:, 0]
    beside = torch.where(away == REACH, above, -torch.inf).amax(-1)
    scatter = (over_energy(above.abs() * rest) / over_energy(rest))[:, 0] * 1.2533  # of a normal: deviation over mean
    sigma = (height - top) / torch.maximum(variance(noise, top).sqrt(), scatter)
    spike = (sigma >= SPIKE_SIGMA) & (height >= TALLER * top) & (beside <= NARROW * peak) & (witnesses[:, 0] > 0)

    inside = away <= REACH
    kept = inside.to(own.dtype)
    error = over_energy(variance(noise, here) * kept).sqrt()
    excess = torch.cat((over_energy(above * kept), error), -1)
    mended = own.scatter(-1, index, torch.where(inside & spike[:, None], mean, here))
    return _Verdict(torch.where(spike, sigma, 0.0), excess, mended)


def _added(parts: Sequence[Tensor]) -> Tensor:
    """One after the other, so that the rounding does not depend on a part's place in memory."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
