"""Every family of evidence: what each finds where, and what is taken for its strength.

Tensors are (batch, row, column, ...). Beyond what is nearly usual, the evidence of 3 x 3 pixels counts as far as
the pixel itself agrees.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from monitor.core.axes import EnergyAxis
from training.edge_shapes import every_edge
from training.families import FAMILIES
from training.filters import pooled, products, runs_of, taken, unit, wider, windows
from training.latent_distance import LatentDistance
from training.levels import Levels
from training.mixtures import Mixtures
from training.moved_edges import SLIGHT, WINDOWS, MovedEdges
from training.rows import within
from training.shift import channels_of

HEARD, HEARD_OF_MOVES = 2.0, 2.25
"""Standard deviations in a channel, and of a moved edge, beyond which a pixel says no more in sums of 3 x 3."""
AGREEMENT, LIFTED = 3.0, (0.0, 3.48, 0.0, 3.5, 0.0, 3.49, 0.0)
"""Of its 3 x 3 a pixel gets so many times its own evidence or, if more, what is so far beyond the usual of each family
in units of `Levels`: not of all the same, or rounding would decide by which of two it is called."""
LEAST_LEFT = 0.05
"""Of what is left of the edge that most is left of, that must be left of one."""


class Evidence(NamedTuple):
    """Whitened residuals of 3 x 3 pixels, all filters by family 1 and 3 x 3, and what a shift's amount is read from."""

    three: Tensor
    linear: tuple[Tensor, ...]
    shift: tuple[Tensor, Tensor]
    numerator: tuple[Tensor, Tensor]
    information: tuple[Tensor, Tensor]
    latent: Tensor
    latent_at: Tensor


class Peaks(NamedTuple):
    """Of each family (..., family): its strongest evidence z, what of it counts, and the filter."""

    z: Tensor
    strength: Tensor
    chosen: Tensor


class FilterBank(nn.Module):
    """The filters of all families on the coarse axis `energy`, and what clean pixels show them.

    `spread_0` ... `spread_3` (filter,) of the linear families: what clean evidence scatters by at the usual dose. One
    row for each filter of each family, from `first` (family,) on: `about` the channel it is about, `reach` how far to
    either side, `unit` its amount in a spread of clean evidence (counts for a sigma of 1, or channels), and whether it
    `moves` an edge. `edges` (channel, filter) are what is left of edges of which `edge_counts` (counts for a sigma of
    1) were there; `too_few` (filter,) is 0 where only too many can be.
    """

    first: Tensor
    about: Tensor
    reach: Tensor
    unit: Tensor
    moves: Tensor
    windows: Tensor
    wider: Tensor
    edges: Tensor
    edge_counts: Tensor
    too_few: Tensor
    lifted: Tensor

    def __init__(self, energy: EnergyAxis, latent: int) -> None:
        super().__init__()
        channels, step_ev = energy.size, abs(energy.step_ev)
        window, edge = windows(channels, step_ev), every_edge(energy)
        self._shapes = (window, wider(window), edge, edge)
        everything = [(slice(0, channels), slice(0, edge[0].shape[1]))]
        self._runs = (runs_of(window), runs_of(self._shapes[1]), everything, everything)
        for family, (columns, _, _) in enumerate(self._shapes):
            self.register_buffer(f"spread_{family}", torch.ones(columns.shape[1]))
        self.register_buffer("windows", window[0], persistent=False)
        self.register_buffer("wider", self._shapes[1][0], persistent=False)
        self.register_buffer("edges", edge[0].clone())
        self.register_buffer("edge_counts", edge[0].sum(0))
        self.register_buffer("too_few", torch.ones(edge[0].shape[1]))
        self.moved = MovedEdges(channels, step_ev)
        self.latent = LatentDistance(latent, channels)
        self.mixtures = Mixtures(channels)
        self.levels = Levels(len(FAMILIES))
        self.register_buffer("lifted", torch.tensor(LIFTED), persistent=False)
        sizes = [at.numel() for _, at, _ in self._shapes] + 2 * [self.moved.filter_at().numel()]
        first = torch.tensor([0, *sizes]).cumsum(0)
        row = torch.arange(int(first[-1]) + channels)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("moves", (row >= first[4]) & (row < first[6]), persistent=False)
        self.register_buffer("about", torch.zeros_like(row))
        self.register_buffer("reach", torch.zeros_like(row))
        self.register_buffer("unit", torch.ones(row.numel()))
        self.tabulate()

    def linear(self) -> list[tuple[Tensor, Tensor]]:
        """Columns (channel, filter) and spread (filter,) of each linear family: windows and edges, 1 and 3 x 3."""
        columns = (self.windows, self.wider, self.edges, self.edges)
        return [(each, getattr(self, f"spread_{n}")) for n, each in enumerate(columns)]

    @torch.no_grad()
    def learn_edges(self, left: Tensor, added: Tensor, noise: Tensor) -> None:
        """Look for what is `left` of each edge (channel, filter), in the `noise` (channel,) of usual effective counts.

        `added` effective counts (filter,) left it. An edge of which next to nothing is left is no longer looked for.
        """
        size = left.norm(dim=0)
        seen = size > LEAST_LEFT * size.max()
        self.edges.copy_(unit(left) * seen)
        self.edge_counts.copy_(added / size.clamp_min(1e-6) / noise[self._shapes[2][1]] * seen)

    @torch.no_grad()
    def tabulate(self) -> None:
        """Fill `about`, `reach` and `unit` from what the filters are now."""
        moved, device = self.moved, self.about.device
        shift = moved.edge_at.new_tensor(moved.moves).repeat_interleave(WINDOWS)
        half = moved.half_width.repeat(len(moved.moves))
        every = torch.arange(self.latent.response.shape[1], device=device)
        about = [at.to(device) for _, at, _ in self._shapes]
        reach = [half_width.to(device) for _, _, half_width in self._shapes]
        sums = self.windows.sum(0), self.wider.sum(0), self.edge_counts, self.edge_counts
        counts = [each * spread for each, (_, spread) in zip(sums, self.linear(), strict=True)]
        self.about.copy_(torch.cat([*about, *[moved.filter_at()] * 2, every]))
        self.reach.copy_(torch.cat([*reach, half, half, 0 * every]))
        unit = [counts[0], counts[1] / 3, counts[2], counts[3] / 3, *(shift * moved.spread), torch.nan * every]
        self.unit.copy_(torch.cat(unit))

    def own(self, residual: Tensor, expected: Tensor, sigma: Tensor, dose: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a pixel shows by itself: its whitened residual, numerator and information of each moved edge.

        `residual` counts (..., channel) are 0 where missing, `sigma` is what they should scatter by; `dose`
        (..., 1) of the usual.
        """
        whitened = self.mixtures(residual, dose) / sigma
        return whitened, *self.moved(whitened, expected, sigma)

    def forward(
        self,
        whitened: Tensor,
        numerator: Tensor,
        information: Tensor,
        valid: Tensor,
        latent: Tensor,
        halo: Tensor | None = None,
    ) -> Evidence:
        """Evidence of every filter, in spreads of clean pixels at the training's dose.

        The first three are each pixel's `own`, 0 where `valid` is; `latent` (..., latent). The rows of the `halo`
        (training/rows.py) that all but `latent` have beyond it are summed over, and not in the evidence.
        """
        three = pooled(whitened.clamp(-HEARD, HEARD), pooled(valid[..., None]).clamp_min(1.0).rsqrt())
        whitened, three = within(whitened, halo), within(three, halo)
        looked_at = zip((whitened, three) * 2, self.linear(), self._runs, strict=True)
        linear = [products(seen, columns / spread, runs) for seen, (columns, spread), runs in looked_at]
        heard = HEARD_OF_MOVES * (information + SLIGHT).sqrt()
        together = pooled(torch.minimum(numerator, heard).maximum(-heard))
        numerators = within(numerator, halo), within(together, halo)
        informations = within(information, halo), within(pooled(information), halo)
        shift = (
            self.moved.evidence(numerators[0], informations[0], 1),
            self.moved.evidence(numerators[1], informations[1], 9),
        )
        return Evidence(three, tuple(linear), shift, numerators, informations, *self.latent(latent))

    def peaks(self, found: Evidence, dose: Tensor, doubt: Tensor | float = 1.0) -> Peaks:
        """Each family's strongest evidence at the `dose` (..., 1) of the usual.

        `doubt` (..., family) is how many times wider it spreads than is usual.
        """
        z, strength, chosen = [], [], []
        window, window_3, edge, edge_3 = found.linear
        either_way = (one.maximum(-one * self.too_few) for one in (edge, edge_3))
        pairs = ((window, window_3), (edge, edge_3), found.shift)
        sizes = ((window.abs(), window_3.abs()), either_way, found.shift)
        lifted = self.levels.strength(self.lifted, dose)[..., 1::2].unbind(-1)
        for (one, three), looked_at, signed, lift in zip(pairs, sizes, (False, False, True), lifted, strict=True):
            at, at_3 = (size.argmax(-1) for size in looked_at)
            alone, together = taken(one, at), taken(three, at_3)
            way = 1.0 if signed else together.sign()
            own = taken(one, at_3 + (channels_of(one) - channels_of(three))) * way
            size, credited = together * way, (AGREEMENT * own).maximum(lift)
            z += [alone, together]
            strength += [alone if signed else alone.abs(), torch.minimum(size, credited).maximum(-size)]
            chosen += [at, at_3]
        z, strength, chosen = (
            [*each, last] for each, last in ((z, found.latent), (strength, found.latent), (chosen, found.latent_at))
        )
        return Peaks(torch.stack(z, -1), torch.stack(strength, -1) / doubt, torch.stack(chosen, -1))
