"""What the networks have in common: autoencoders of a spectrum image, with one energy shift for each row.

Law: a missing pixel and the outside of the map are the same thing to it, and a pixel looks no further than its own row
and `reach` rows beside it. Tensors at the border are (batch, row, column, energy); the convolutions inside work
on (batch, feature, energy, row, column).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from monitor.core.axes import EnergyAxis
from training.shift import RowShift, move, move_share, over_energy

ROWS = 3
"""The axis of rows in what the convolutions work on."""
DARK = 0.1
"""Share of the usual counts below which a pixel fades from the encoder's view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The shape of a network.

    `channels` of the detector, the first at `offset_ev`, `step_ev` apart (signed); `widths` of the convolutions that it
    has; latent size.
    """

    channels: int
    step_ev: float = 1.0
    offset_ev: float = 0.0
    network: Literal["cvae", "paper"] = "cvae"
    coarse_limit: int = 512
    widths: tuple[int, ...] = (8, 16, 24)
    latent: int = 8

    @property
    def rebin(self) -> int:
        """Detector channels that are added up to one coarse channel."""
        return -(-self.channels // self.coarse_limit)

    @property
    def coarse(self) -> int:
        """Coarse channels; the last one may hold fewer detector channels."""
        return -(-self.channels // self.rebin)

    @property
    def coarse_energy(self) -> EnergyAxis:
        """The axis of the coarse channels."""
        first_ev = self.offset_ev + self.step_ev * (self.rebin - 1) / 2
        return EnergyAxis(offset_ev=first_ev, step_ev=self.step_ev * self.rebin, size=self.coarse)


class Normal(NamedTuple):
    """What the network takes for normal: `share` (batch, row, column, coarse) sums to 1 over energy."""

    share: Tensor
    mean: Tensor
    log_variance: Tensor
    drift: Tensor


class Network(nn.Module):
    """What every network has: how counts are put to it, the row's shift, the draw from the latent.

    `log_mean`, `input_scale` and `usual_total` (counts) are set before training. A network adds `down` and `up`, the
    `features` of its convolutions in units of the width, and the `reach`: rows on either side that a pixel's expected
    spectrum depends on.
    """

    features: ClassVar[tuple[int, ...]]
    reach: ClassVar[int]
    log_mean: Tensor
    input_scale: Tensor
    usual_total: Tensor

    def __init__(self, architecture: Architecture, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.architecture = architecture
        n = architecture.coarse
        self.lengths = [n]
        for stride in strides:
            self.lengths.append(-(-self.lengths[-1] // stride))
        self.register_buffer("log_mean", torch.full((n,), 1.0 / n).log())
        self.register_buffer("input_scale", torch.ones(()))
        self.register_buffer("usual_total", torch.ones(()))
        self.log_signal = nn.Parameter(torch.full((architecture.latent,), 3.0))
        self.row_shift = RowShift(n)

    def down(self, view: Tensor, mask: Tensor, halo: Tensor | None, kept: int) -> Tensor:
        """A view (batch, row, column, coarse) to latents (batch, 2 x latent, 1, row, column).

        The view is 0 where `mask` (batch, 1, 1, row, column) is. Of the rows in the `halo` at most `kept` on either
        side come out.
        """
        raise NotImplementedError

    def up(self, z: Tensor) -> Tensor:
        """Latent (batch, latent, 1, row, column) to (batch, 1, coarse, row, column): log share over the mean's.

        Looks at a pixel's own latent alone.
        """
        raise NotImplementedError

    def set_input_scale(self, spectra: Tensor) -> None:
        """Scale the encoder's input to unit spread over `spectra` (pixel, coarse), and learn their usual total."""
        mean = self.log_mean.exp()
        total = spectra.sum(-1, keepdim=True)
        self.usual_total.copy_(total.median().clamp_min(1.0))
        share = spectra / total.clamp_min(1.0)
        self.input_scale.copy_(1.0 / ((share - mean) / mean.sqrt()).std().clamp_min(1e-6))

    def view(self, coarse: Tensor, total: Tensor, valid: Tensor, drift: Tensor) -> Tensor:
        """What the encoder sees, (batch, row, column, coarse): shares moved back by `drift`, beside the mean's.

        `total` (.., row, column, 1) are the counts of `coarse`.
        """
        counted = total.clamp_min(1.0).maximum(
            DARK * self.usual_total
        )  # the noise of a vacuum must not fill its neighbours' view
        root = self.log_mean.exp().sqrt()
        weight = self.input_scale * valid[..., None] / counted
        return move(coarse, -drift) / root * weight - root * (total * weight)

    def encode(
        self, view: Tensor, valid: Tensor, total: Tensor, *, halo: Tensor | None = None, kept: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Latent mean and log variance, each (batch, latent, 1, row, column), of what the encoder sees.

        Of the rows in the `halo` at most `kept` on either side come out; `total` (.., row, column, 1) are their counts.
        """
        mask = valid[:, None, None]
        mu, log_variance = self.down(view, mask, halo, kept).chunk(2, 1)
        # A Gaussian latent of signal s over noise, seen at D times the usual dose, has the posterior mean
        # D s / (1 + D s) of what is read from it and the variance 1 / (1 + D s); here relative to D = 1.
        dose = (total / self.usual_total).clamp_min(DARK).permute(0, 3, 1, 2)[:, None]
        signal = self.log_signal.exp()[:, None, None, None]
        sharper = (1.0 + dose * signal) / (1.0 + signal)
        return mu * dose / sharper, (log_variance - sharper.log()).clamp(-12.0, 6.0)

    def decode(self, z: Tensor) -> Tensor:
        """Share of the counts in each coarse channel, (batch, row, column, coarse), before the row's shift."""
        return torch.softmax(self.up(z)[:, 0].permute(0, 2, 3, 1) + self.log_mean, -1)

    def forward(self, coarse: Tensor, valid: Tensor, noise: Tensor | None = None) -> Normal:
        """What is normal at each pixel.

        `coarse` (batch, row, column, coarse) effective counts, 0 where missing; `valid` (batch, row, column) 1 or 0;
        `noise` like the latent mean, standard normal, while training.
        """
        drift, total = self.drift(coarse, valid), over_energy(coarse)
        mu, log_variance = self.encode(self.view(coarse, total, valid, drift), valid, total)
        z = mu if noise is None else mu + noise * (0.5 * log_variance).exp()
        return Normal(move_share(self.decode(z), drift), mu, log_variance, drift)

    def drift(self, coarse: Tensor, valid: Tensor) -> Tensor:
        """Each row's shift (batch, row), as its head reads it."""
        return self.row_shift(coarse, valid, self.log_mean.exp())


def for_convolution(view: Tensor) -> Tensor:
    """(batch, row, column, energy) as one feature, (batch, 1, energy, row, column)."""
    return view.permute(0, 3, 1, 2)[:, None]
