"""Convolutions whose results do not depend on the size of the map.

Law: where the network scores no product has more than `LONGEST` terms. ONNX Runtime adds up longer ones in pieces that
depend on the map's size, and a strip would not give its map's scores to the last bit.
"""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LONGEST = 128
"""Terms that ONNX Runtime's matrix product adds up in one piece whatever its sides (MLAS_SGEMM_STRIDEK)."""


class Convolution(nn.Conv3d):
    """Conv3d on (batch, feature, energy, row, column); where it scores, groups of input features are added up."""

    def forward(self, x: Tensor) -> Tensor:
        share = max(LONGEST // prod(self.kernel_size), 1)
        if self.training or self.in_channels <= share:
            return super().forward(x)
        groups = _pieces(self.in_channels, share)
        parts = [F.conv3d(x[:, g], self.weight[:, g], None, self.stride, self.padding) for g in groups]
        return sum(parts[1:], parts[0]) + (0.0 if self.bias is None else self.bias[:, None, None, None])


class Expansion(nn.ConvTranspose3d):
    """ConvTranspose3d on the same; likewise, each product being one over the input features."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if self.training or self.in_channels <= LONGEST:
            return super().forward(x, output_size)
        groups = _pieces(self.in_channels, LONGEST)
        assert not isinstance(self.padding, str), "a transposed convolution has no padding by name"
        options = self.stride, self.padding, self.output_padding
        parts = [F.conv_transpose3d(x[:, g], self.weight[g], None, *options) for g in groups]
        return sum(parts[1:], parts[0]) + (0.0 if self.bias is None else self.bias[:, None, None, None])


class Readout(nn.Module):
    """Linear features of each pixel's whole spectrum: (batch, row, column, energy) to (batch, feature, 1, row, column).

    0 until trained. Added up in pieces where it is trained as well: they cost next to nothing.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, features))

    def forward(self, spectra: Tensor) -> Tensor:
        parts = [spectra[..., p] @ self.weight[p] for p in _pieces(len(self.weight), LONGEST)]
        return sum(parts[1:], parts[0]).permute(0, 3, 1, 2)[:, :, None]


def _pieces(terms: int, longest: int) -> list[slice]:
    return [slice(first, first + longest) for first in range(0, terms, longest)]
