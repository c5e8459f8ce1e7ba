"""One energy shift for each row: read from the row's mean spectrum, taken out before the encoder, put back after it.

Shared by a whole row it costs no latent, so the network leaves instrument drift to it and a single pixel cannot hide a
moved edge behind it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_SHIFT = 4
"""Largest shift, in coarse channels."""
SMALLEST_SHARE = 1e-9


class RowShift(nn.Module):
    """Estimates a row's shift and moves spectra by it. Tensors are (batch, row, column, energy)."""

    taps: Tensor
    offsets: Tensor

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.channels = channels
        self.hidden = nn.Linear(channels, hidden)
        self.readout = nn.Linear(hidden, 1)
        self.register_buffer("offsets", torch.arange(-MAX_SHIFT - 1, MAX_SHIFT + 2).float(), persistent=False)
        self.register_buffer("taps", _moves(channels, MAX_SHIFT + 1), persistent=False)

    def forward(self, coarse: Tensor, valid: Tensor, mean: Tensor) -> Tensor:
        """Shift (batch, row) in coarse channels; `coarse` is 0 where `valid` is, `mean` (energy,) sums to 1."""
        row = over_row(coarse, valid)
        total = over_energy(row)
        share = torch.where(total > 0, row / total.clamp_min(1.0), mean)
        x = (share - mean) / mean.sqrt() * 20.0
        # No tanh: vectorised, it rounds by an element's place in the batch, and a shift that differs in its last bit
        # moves every score of the row.
        h = over_energy(F.relu(self.hidden(x)) * self.readout.weight[0])[..., 0] + self.readout.bias
        return 0.9 * MAX_SHIFT * h / (1.0 + h.abs())

    def move(self, spectra: Tensor, shift: Tensor) -> Tensor:
        """Spectra moved up by `shift` (batch, row) channels: y(e) = x(e - shift), the border channel repeated.

        Catmull-Rom interpolation: a straight line between channels would blur a sharp edge by an amount that depends
        on the shift.
        """
        weights = _catmull_rom(shift[..., None] - self.offsets)
        matrix = (weights @ self.taps).unflatten(-1, (self.channels, self.channels))
        return spectra @ matrix

    def move_share(self, share: Tensor, shift: Tensor) -> Tensor:
        """As `move`, for shares that stay positive and sum to 1."""
        moved = self.move(share, shift).clamp_min(SMALLEST_SHARE)
        return moved / over_energy(moved)


def over_energy(x: Tensor) -> Tensor:
    """Sum over the last axis, kept as 1.

    As a product of matrices: ONNX Runtime's sums and its products with a single column round by a row's place in
    memory, so that a strip would differ from its map.
    """
    return (x @ torch.ones(x.shape[-1], 16, dtype=x.dtype, device=x.device))[..., :1]


def over_row(x: Tensor, valid: Tensor) -> Tensor:
    """Sum of (batch, row, column, k) over the valid columns, (batch, row, k); a product for the same reason."""
    return (valid[..., None, :] @ x)[..., 0, :]


def _moves(channels: int, reach: int) -> Tensor:
    """Row k: the flattened (from, to) matrix that moves a spectrum up by k - reach channels."""
    to = torch.arange(channels)
    moves = torch.zeros(2 * reach + 1, channels, channels)
    for k in range(-reach, reach + 1):
        moves[k + reach, (to - k).clamp(0, channels - 1), to] = 1.0
    return moves.reshape(2 * reach + 1, -1)


def _catmull_rom(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -1/2; zero from a distance of 2 on."""
    x = distance.abs().clamp_max(2.0)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((2.5 - 0.5 * x) * x - 4.0) * x + 2.0
    return torch.where(x < 1, near, far)
