"""Shift filters: what the expected spectrum would be with one of its edges moved by so many eV.

A slope would do for shifts far smaller than an edge is wide; the finite difference holds beyond that as well.
Tensors are (batch, row, column, energy or filter).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHIFTS_EV = (0.9, 2.4, 5.0)
"""Tried up and down; what lies between them is seen by its neighbours."""
LENGTHS_EV = ((10.0, 4.0), (24.0, 8.0))
"""Length and spacing of the windows in which an edge is looked for."""
WINDOWS = 24
"""Windows kept: those in which a shift would show best."""
LEAST_SHARE = 0.05
"""Of the information about a shift in the best window; windows with less could only raise what clean pixels reach."""
SLIGHT = 1.0
"""Added to the information of a window: where no edge is, its evidence fades to nothing."""


class MovedEdges(nn.Module):
    """One filter for each shift tried and each window, in that order: filter = shift x WINDOWS + window.

    `box` (channel, window) 0 or 1, `edge_at` and `half_width` (window,) channels, `spread` (2, filter) what clean
    evidence of 1 and 3 x 3 pixels shows; all set from the training data.
    """

    box: Tensor
    edge_at: Tensor
    half_width: Tensor
    spread: Tensor

    def __init__(self, channels: int, step_ev: float) -> None:
        super().__init__()
        self.channels, self.step_ev = channels, step_ev
        steps = dict.fromkeys(max(round(ev / step_ev), 1) for ev in SHIFTS_EV)
        self.moves = [sign * step for step in steps for sign in (1, -1)]
        self.register_buffer("box", torch.zeros(channels, WINDOWS))
        self.register_buffer("edge_at", torch.zeros(WINDOWS, dtype=torch.long))
        self.register_buffer("half_width", torch.zeros(WINDOWS, dtype=torch.long))
        self.register_buffer("spread", torch.ones(2, len(self.moves) * WINDOWS))

    def filter_at(self) -> Tensor:
        """The channel of the edge that each filter is about, (filter,)."""
        return self.edge_at.repeat(len(self.moves))

    def look_at(self, expected: Tensor) -> None:
        """Keep the windows in which the edges of `expected` spectra (pixel, channel), in counts, lie."""
        slope = F.pad(expected[:, 2:] - expected[:, :-2], (1, 1)) * 0.5
        information = (slope * slope / expected.clamp_min(1.0)).quantile(0.95, dim=0)
        at = torch.arange(self.channels)
        columns, halves = [], []
        for length, spacing in LENGTHS_EV:
            half = max(round(0.5 * length / self.step_ev), 1)
            middle = torch.arange(0, self.channels, max(round(spacing / self.step_ev), 1))
            columns.append(((at[:, None] - middle).abs() <= half).float())
            halves.append(torch.full_like(middle, half))
        box, half = torch.cat(columns, 1), torch.cat(halves)
        inside = information @ box
        best = inside.topk(min(WINDOWS, box.shape[1])).indices
        best = best[inside[best] >= LEAST_SHARE * inside.max()]
        for each in (self.box, self.edge_at, self.half_width):
            each.zero_()
        self.box[:, : best.numel()] = box[:, best]
        self.edge_at[: best.numel()] = (information[:, None] * box[:, best]).argmax(0)
        self.half_width[: best.numel()] = half[best]

    def forward(self, whitened: Tensor, expected: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Numerator and information (batch, row, column, filter): their ratio is the share of the shift that is there.

        `whitened`: residual over `sigma`, the standard deviation of the expected counts, 0 where missing.
        """
        runs = self._runs()
        box = torch.cat([self.box[run] for run in runs])
        whitened, expected, sigma = (
            torch.cat([each[..., run] for run in runs], -1) for each in (whitened, expected, sigma)
        )
        inverse, channels = 1.0 / sigma, len(box)
        numerators, informations = [], []
        for step in self.moves[::2]:
            difference = expected[..., step:] - expected[..., : channels - step]
            # Up is e(i - step) - e(i), down e(i + step) - e(i): one difference serves both.
            for way, padding in ((-1.0, (step, 0)), (1.0, (0, step))):
                template = F.pad(difference, padding) * inverse
                numerators.append((whitened * template) @ (way * box))
                informations.append((template * template) @ box)
        return torch.cat(numerators, -1), torch.cat(informations, -1)

    def _runs(self) -> list[slice]:
        """The channels in any window and as many beside them as an edge is moved by: a third of all.

        What is not neighbours there but beside each other once the runs are put together is in no window.
        """
        far = max(self.moves)
        near = F.max_pool1d(self.box.amax(1)[None], 2 * far + 1, 1, far)[0] > 0
        ends = F.pad(near.int(), (1, 1)).diff().nonzero().flatten().tolist()
        return [slice(*run) for run in zip(ends[::2], ends[1::2], strict=True)] or [slice(0, self.channels)]

    def evidence(self, numerator: Tensor, information: Tensor, pixels: int) -> Tensor:
        """Evidence z, positive where the edge has moved the way of the filter; of one pixel, or of 3 x 3 added up."""
        return numerator * (information + SLIGHT).rsqrt() / self.spread[int(pixels > 1)]
