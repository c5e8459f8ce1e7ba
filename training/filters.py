"""The filter bank: from a residual spectrum to evidence at each energy, for several shapes of deviation.

Works on whitened residuals (residual over the standard deviation its counts should have), so a unit-norm filter of pure
noise has variance 1 whatever the composition. Tensors are (batch, row, column, energy or filter).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOWS_EV = (0.8, 1.6, 3.2, 6.4, 12.8)
"""Standard deviations of the Gaussian windows that look for counts too many or too few."""
NARROWEST = 0.7
"""Of a window, in channels."""
WIDER = 1.6
"""How many times wider than the narrowest the next window must be to see anything else."""
Filters = tuple[Tensor, Tensor, Tensor]


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


def unit(columns: Tensor) -> Tensor:
    """The columns at unit norm."""
    return columns / columns.norm(dim=0, keepdim=True).clamp_min(1e-9)


def pooled(x: Tensor) -> Tensor:
    """Sum over 3 x 3 pixels; outside the map counts as 0.

    Columns by a product with a band matrix, which costs less than two more copies of the map; rows by slices, because a
    product would add them up in an order that depends on where a strip begins.
    """
    column = torch.arange(x.shape[2], device=x.device)
    band = ((column[:, None] - column).abs() <= 1).to(x.dtype)
    beside = F.pad(band @ x, (0, 0, 0, 0, 1, 1))
    return beside[:, :-2] + beside[:, 1:-1] + beside[:, 2:]


def taken(z: Tensor, at: Tensor) -> Tensor:
    """The evidence (batch, row, column) of filter `at` of each pixel."""
    return z.gather(-1, at[..., None])[..., 0]
