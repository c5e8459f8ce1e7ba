"""One energy shift for each row: read from the row's mean spectrum, taken out before the encoder, put back after it.

Shared by a whole row it costs no latent, so the network leaves instrument drift to it and a single pixel cannot hide a
moved edge behind it. Tensors are (batch, row, column, energy); shifts are (batch, row), in coarse channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGEST, SLOPE = 10.0, 4.0
"""Largest shift the head can name, in coarse channels; what it leaves is followed when scoring (drift.py). Small shifts
are so many times what it reads."""
SMALLEST_SHARE = 1e-9
KEYS = 0.5 * torch.tensor([[1.0, -3.0, 3.0, -1.0], [-1.0, 4.0, -5.0, 2.0], [0.0, 1.0, 0.0, -1.0], [0.0, 0.0, 2.0, 0.0]])
"""What f^3, f^2, f and 1 count for in the weights of x(e - 2) ... x(e + 1) at e - f (Keys, IEEE Trans. Acoust. 29, 1153
(1981), a = -1/2)."""


class RowShift(nn.Module):
    """Reads a row's shift from its mean spectrum: `largest` is kept with the weights, which mean nothing without it."""

    largest: Tensor

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.register_buffer("largest", torch.tensor(LARGEST))
        self.hidden = nn.Linear(channels, hidden)
        self.readout = nn.Linear(hidden, 1)
        # Where it begins the network's spectra stay: half a channel off, a row that drifts back is seen sharper.
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def forward(self, coarse: Tensor, valid: Tensor, mean: Tensor) -> Tensor:
        """Shift (batch, row); `coarse` is 0 where `valid` is, `mean` (energy,) sums to 1."""
        row = over_row(coarse, valid)
        total = over_energy(row)
        share = torch.where(total > 0, row / total.clamp_min(1.0), mean)
        x = (share - mean) / mean.sqrt() * 20.0
        # No tanh: vectorised, it rounds by an element's place in the batch, and a shift that differs in its last bit
        # moves every score of the row.
        h = over_energy(F.relu(self.hidden(x)) * self.readout.weight[0])[..., 0] + self.readout.bias
        return SLOPE * h / (1.0 + SLOPE * h.abs() / self.largest)


def move(spectra: Tensor, shift: Tensor) -> Tensor:
    """Spectra moved up by `shift` channels: y(e) = x(e - shift), the border channel repeated.

    Catmull-Rom interpolation: a straight line between channels would blur a sharp edge by an amount that depends on the
    shift.
    """
    whole = shift.floor()
    f = (shift - whole)[..., None, None]
    n = channels_of(spectra)
    at = torch.arange(-2, n + 1, device=spectra.device) - whole[..., None].long()
    p = spectra.gather(-1, at.clamp(0, n - 1)[:, :, None].expand(-1, -1, spectra.shape[2], -1))
    cubic = KEYS.to(f)
    far_below, below, here, above = (torch.cat((f * f * f, f * f, f), -1) @ cubic[:3] + cubic[3]).split(1, -1)
    return far_below * p[..., :n] + below * p[..., 1 : n + 1] + here * p[..., 2 : n + 2] + above * p[..., 3:]


def move_share(share: Tensor, shift: Tensor) -> Tensor:
    """As `move`, for shares that stay positive and sum to 1."""
    moved = move(share, shift).clamp_min(SMALLEST_SHARE)
    return moved / over_energy(moved)


def channels_of(x: Tensor) -> int:
    """Size of the last axis, fixed for a model: as a plain number it is a constant of the exported graph as well."""
    return int(x.shape[-1])


def over_energy(x: Tensor) -> Tensor:
    """Sum over the last axis, kept as 1.

    As a product of matrices: ONNX Runtime's sums and its products with a single column round by a row's place in
    memory, so that a strip would differ from its map.
    """
    return (x @ torch.ones(channels_of(x), 16, dtype=x.dtype, device=x.device))[..., :1]


def over_row(x: Tensor, weight: Tensor) -> Tensor:
    """Sum of (batch, row, column, k) times `weight` over columns, (batch, row, k); a product for the same reason."""
    return (weight[..., None, :] @ x)[..., 0, :]
