"""The filter bank: from a residual spectrum to evidence at each energy, for several shapes of deviation.

Works on whitened residuals (residual over the standard deviation its counts should have), so a unit-norm filter of pure
noise has variance 1 whatever the composition. Tensors are (batch, row, column, energy or filter).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from training.shift import channels_of

WINDOWS_EV = (0.8, 1.6, 3.2, 6.4, 12.8)
"""Standard deviations of the Gaussian windows that look for counts too many or too few."""
NARROWEST = 0.7
"""Of a window, in channels."""
WIDER = 1.6
"""How many times wider than the narrowest the next window must be to see anything else."""
MOST_RUNS = 16
RUN_COST, CHANNEL_COST = 4096, 16
"""What a product with one more run of filters costs, and each channel copied for it, in multiplications."""
Filters = tuple[Tensor, Tensor, Tensor]
Run = tuple[slice, slice]


def windows(channels: int, step_ev: float) -> Filters:
    """Gaussian windows of unit norm (channel, filter), the channel each is about and its half width in channels."""
    e = torch.arange(channels, dtype=torch.float32)[:, None]
    widths = [max(WINDOWS_EV[0] / step_ev, NARROWEST)]
    widths += [ev / step_ev for ev in WINDOWS_EV if ev / step_ev > WIDER * widths[0]]
    columns, middles, halves = [], [], []
    for width in widths:
        stride = max(round(0.9 * width), 1)
        at = torch.arange((stride - 1) // 2, channels, stride)
        columns.append(torch.exp(-0.5 * ((e - at) / width) ** 2) * ((e - at).abs() <= 4 * width))
        middles.append(at)
        halves.append(torch.full_like(at, round(2 * width)))
    return unit(torch.cat(columns, 1)), torch.cat(middles), torch.cat(halves)


def wider(filters: Filters) -> Filters:
    """All but the narrowest: what a single channel shows needs no neighbours. They are the last of all of them."""
    columns, at, half = filters
    wide = half > half.min() if (half > half.min()).any() else torch.ones_like(half, dtype=torch.bool)
    return columns[:, wide], at[wide], half[wide]


def runs_of(filters: Filters) -> list[Run]:
    """Filters (in order) in runs of neighbours of one width, each as the (channels, filters) that are not all 0.

    A narrow window looks at a few channels only: products with runs take a third of those with the whole matrix.
    """
    columns, _, half = filters
    runs: list[Run] = []
    first = 0
    for size in torch.unique_consecutive(half, return_counts=True)[1].tolist():
        parts = range(1, min(MOST_RUNS, size) + 1)
        cut = [_cut(columns, torch.linspace(first, first + size, n + 1).round().int().tolist()) for n in parts]
        runs += min(cut, key=_cost)
        first += size
    return runs


def products(x: Tensor, columns: Tensor, runs: list[Run]) -> Tensor:
    """Spectra (..., channel) @ columns (channel, filter), run by run."""
    return torch.cat([_seen(x, channels) @ columns[channels, filters] for channels, filters in runs], -1)


def _seen(x: Tensor, channels: slice) -> Tensor:
    """Some channels of spectra; a slice of all of them would be a copy in ONNX Runtime."""
    return x if channels.stop - channels.start == channels_of(x) else x[..., channels]


def _cut(columns: Tensor, bounds: list[int]) -> list[Run]:
    runs: list[Run] = []
    for first, last in pairwise(bounds):
        seen = columns[:, first:last].abs().amax(1).nonzero()
        runs.append((slice(int(seen.min()), int(seen.max()) + 1), slice(first, last)))
    return runs


def _cost(runs: list[Run]) -> int:
    sizes = [(channels.stop - channels.start, filters.stop - filters.start) for channels, filters in runs]
    return sum(channels * (filters + CHANNEL_COST) + RUN_COST for channels, filters in sizes)


def unit(columns: Tensor) -> Tensor:
    """The columns at unit norm."""
    return columns / columns.norm(dim=0, keepdim=True).clamp_min(1e-9)


def pooled(x: Tensor, times: Tensor | float = 1.0) -> Tensor:
    """Sum over 3 x 3 pixels, `times` so much; outside the map counts as 0.

    ONNX Runtime pools more than twice as fast as it adds rows up, torch eight times as slowly. Rows are added one by
    one either way: a product would do so in an order that depends on where a strip begins.
    """
    if torch.onnx.is_in_onnx_export():
        return F.avg_pool3d(x[:, None], (3, 3, 1), 1, (1, 1, 0)).squeeze(1) * (9.0 * times)
    column = torch.arange(x.shape[2], device=x.device)
    band = ((column[:, None] - column).abs() <= 1).to(x.dtype)
    beside = F.pad(band @ x, (0, 0, 0, 0, 1, 1))
    return (beside[:, :-2] + beside[:, 1:-1] + beside[:, 2:]) * times


def taken(z: Tensor, at: Tensor) -> Tensor:
    """The evidence (batch, row, column) of filter `at` of each pixel."""
    return z.gather(-1, at[..., None]).squeeze(-1)
