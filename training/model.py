"""The 3D-CVAE: a convolutional variational autoencoder of a spectrum image, with one energy shift for each row.

Law: a missing pixel and the outside of the map are the same thing to it, and a pixel looks no further than its own row
and `SPATIAL_REACH` rows beside it. Tensors at the border are (batch, row, column, energy); the convolutions inside work
on (batch, feature, energy, row, column).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.shift import RowShift, move, move_share, over_energy

SPATIAL_REACH = 2
"""Rows on either side that a pixel's expected spectrum depends on: two layers of 3 x 3."""
STRIDES = (4, 3, 5)
DARK = 0.1
"""Share of the usual counts below which a pixel fades from the encoder's view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The shape of the network.

    `channels` of the detector, each `step_ev` wide (signed); `widths` of the three hidden layers; latent size.
    """

    channels: int
    step_ev: float = 1.0
    coarse_limit: int = 512
    widths: tuple[int, int, int] = (8, 16, 24)
    latent: int = 8

    @property
    def rebin(self) -> int:
        """Detector channels that are added up to one coarse channel."""
        return -(-self.channels // self.coarse_limit)

    @property
    def coarse(self) -> int:
        """Coarse channels; the last one may hold fewer detector channels."""
        return -(-self.channels // self.rebin)


class Normal(NamedTuple):
    """What the network takes for normal: `share` (batch, row, column, coarse) sums to 1 over energy."""

    share: Tensor
    unshifted: Tensor
    mean: Tensor
    log_variance: Tensor
    drift: Tensor


class Cvae(nn.Module):
    """3D-CVAE over coarse counts; `log_mean`, `input_scale` and `usual_total` (counts) are set before training."""

    log_mean: Tensor
    input_scale: Tensor
    usual_total: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        n = architecture.coarse
        lengths = [n]
        for stride in STRIDES:
            lengths.append(-(-lengths[-1] // stride))
        self.lengths = lengths
        w, latent = architecture.widths, architecture.latent
        # Products of at most 128 terms: longer ones are added up by ONNX Runtime in pieces that depend on the size of
        # the map, and a strip would not give its map's scores to the last bit. Hence 3 x 3 and 5 apart in layer 2.
        self.register_buffer("log_mean", torch.full((n,), 1.0 / n).log())
        self.register_buffer("input_scale", torch.ones(()))
        self.register_buffer("usual_total", torch.ones(()))
        self.log_signal = nn.Parameter(torch.full((latent,), 3.0))
        self.row_shift = RowShift(n)
        self.encode_1 = nn.Conv3d(1, w[0], (7, 3, 3), (4, 1, 1), (3, 1, 1))
        self.mix = nn.Conv3d(w[0], w[0], (1, 3, 3), 1, (0, 1, 1), bias=False)
        self.encode_2 = nn.Conv3d(w[0], w[1], (5, 1, 1), (3, 1, 1), (2, 0, 0))
        self.encode_3 = nn.Conv3d(w[1], w[2], (5, 1, 1), (5, 1, 1), (2, 0, 0))
        self.collapse = nn.Conv3d(w[2], 2 * latent, (lengths[3], 1, 1))
        self.expand = nn.ConvTranspose3d(latent, w[2], (lengths[3], 1, 1))
        self.decode_3 = nn.ConvTranspose3d(w[2], w[1], (5, 1, 1), (5, 1, 1))
        self.decode_2 = nn.ConvTranspose3d(w[1], w[0], (5, 1, 1), (3, 1, 1), (1, 0, 0))
        self.decode_1 = nn.ConvTranspose3d(w[0], 1, (8, 1, 1), (4, 1, 1), (2, 0, 0))

    def set_input_scale(self, spectra: Tensor) -> None:
        """Scale the encoder's input to unit spread over `spectra` (pixel, coarse), and learn their usual total."""
        mean = self.log_mean.exp()
        total = spectra.sum(-1, keepdim=True)
        self.usual_total.copy_(total.median().clamp_min(1.0))
        share = spectra / total.clamp_min(1.0)
        self.input_scale.copy_(1.0 / ((share - mean) / mean.sqrt()).std().clamp_min(1e-6))

    def encode(self, coarse: Tensor, valid: Tensor, drift: Tensor) -> tuple[Tensor, Tensor]:
        """Latent mean and log variance, each (batch, latent, 1, row, column), of counts moved back by `drift`."""
        total = over_energy(coarse)
        counted = total.clamp_min(1.0).maximum(
            DARK * self.usual_total
        )  # the noise of a vacuum must not fill its neighbours' view
        mean = self.log_mean.exp()
        moved = move(coarse / counted, -drift)
        x = (moved - mean * (total / counted)) / mean.sqrt() * self.input_scale
        mask = valid[:, None, None]
        h = (x * valid[..., None]).permute(0, 3, 1, 2)[:, None]
        h = F.silu(self.encode_1(h)) * mask
        h = F.silu(self.encode_2(self.mix(h)))
        h = F.silu(self.encode_3(h))
        mu, log_variance = self.collapse(h).chunk(2, 1)
        # A Gaussian latent of signal s over noise, seen at D times the usual dose, has the posterior mean
        # D s / (1 + D s) of what is read from it and the variance 1 / (1 + D s); here relative to D = 1.
        dose = (total / self.usual_total).clamp_min(DARK).permute(0, 3, 1, 2)[:, None]
        signal = self.log_signal.exp()[:, None, None, None]
        sharper = (1.0 + dose * signal) / (1.0 + signal)
        return mu * dose / sharper, (log_variance - sharper.log()).clamp(-12.0, 6.0)

    def decode(self, z: Tensor) -> Tensor:
        """Share of the counts in each coarse channel, (batch, row, column, coarse), before the row's shift."""
        n = self.lengths
        h = F.silu(self.expand(z))
        h = F.silu(self.decode_3(h)[:, :, : n[2]])
        h = F.silu(self.decode_2(h)[:, :, : n[1]])
        h = self.decode_1(h)[:, 0, : n[0]].permute(0, 2, 3, 1)
        return torch.softmax(h + self.log_mean, -1)

    def forward(self, coarse: Tensor, valid: Tensor, noise: Tensor | None = None) -> Normal:
        """What is normal at each pixel.

        `coarse` (batch, row, column, coarse) effective counts, 0 where missing; `valid` (batch, row, column) 1 or 0;
        `noise` like the latent mean, standard normal, while training.
        """
        drift = self.row_shift(coarse, valid, self.log_mean.exp())
        mu, log_variance = self.encode(coarse, valid, drift)
        z = mu if noise is None else mu + noise * (0.5 * log_variance).exp()
        unshifted = self.decode(z)
        return Normal(move_share(unshifted, drift), unshifted, mu, log_variance, drift)
