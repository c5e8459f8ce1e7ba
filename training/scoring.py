"""From raw counts to a score: the one graph that training, export, offline scoring and the live monitor share.

Law: counts come in as the detector gave them; labels, rebinning, normalisation, network, filters, standardisation are
inside.
A pixel with a NaN or infinite channel is missing: its own outputs are NaN (index and kind 0), its neighbours do
without it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.filters import FLOOR, FilterBank
from training.labels import LOOK_ROWS, SATURATED, SPIKE, VACUUM, Labelled, Labels
from training.model import SPATIAL_REACH, Architecture, Cvae, Normal
from training.shift import move_share, over_energy, over_row
from training.verdict import Evidence, amounts

HALO_ROWS = LOOK_ROWS + SPATIAL_REACH + 1
"""Rows on either side that a score depends on: the spike test, the network's reach and the 3 x 3 sum of residuals."""


DRIFT_CLIP = 1.5
"""Standard deviations at which one pixel's say in its row's drift is cut off: a moved edge is no drift."""


DRIFT_STEPS = 3
"""Gauss-Newton steps a row's drift is followed by; each goes half a coarse channel at most."""


class Scores(NamedTuple):
    """The outputs of the graph, in the order of the model file; shapes (batch, row, column[, energy or latent]).

    `label` says what a pixel is beside its score, `span` (..., 2) first and last input channel of the evidence,
    `amount` (..., 2) value and standard error, `drift` (batch, row) in eV.
    """

    score: Tensor
    energy_index: Tensor
    kind: Tensor
    expected: Tensor
    latent: Tensor
    label: Tensor
    span: Tensor
    amount: Tensor
    drift: Tensor


class ScoringGraph(nn.Module):
    """The labels, the network, the filter bank, and what standardises their evidence.

    Buffers set by training: `gain` (variance of a coarse count over its mean), `fine_log_mean` (energy,),
    `reference_total` (effective counts per pixel the bank was standardised at), `step_ev` (of the detector's channels).
    """

    gain: Tensor
    fine_log_mean: Tensor
    reference_total: Tensor
    step_ev: Tensor
    interpolation: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.labels = Labels(architecture.channels)
        self.cvae = Cvae(architecture)
        self.bank = FilterBank(architecture.coarse)
        size, b = architecture.channels, architecture.rebin
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("reference_total", torch.ones(()))
        self.register_buffer("step_ev", torch.ones(()))
        self.register_buffer("fine_log_mean", torch.full((size,), 1.0 / size).log())
        self.register_buffer("interpolation", _interpolation(size, architecture.coarse, b), persistent=False)

    def set_mean(self, mean: Tensor, gain: float) -> None:
        """Take the mean spectrum (energy,) of the training data, in counts, and the gain of a coarse count."""
        floor = mean.clamp_min(0.0).mean() * 1e-3
        fine = mean.clamp_min(float(floor))
        coarse = self.rebinned(fine[None, None, None])[0, 0, 0]
        self.fine_log_mean.copy_((fine / fine.sum()).log())
        self.cvae.log_mean.copy_((coarse / coarse.sum()).log())
        self.gain.fill_(gain)

    def rebinned(self, counts: Tensor) -> Tensor:
        """Counts (..., energy) added up to coarse channels (..., coarse)."""
        a = self.architecture
        if a.rebin == 1:
            return counts
        padded = F.pad(counts, (0, a.coarse * a.rebin - a.channels))
        return padded.view(*counts.shape[:-1], a.coarse, a.rebin).sum(-1)

    def effective(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Coarse counts over gain, spikes mended, 0 where missing; the mask (batch, row, column), 1.0 where finite."""
        return self._effective(self.labels(counts))

    def _effective(self, seen: Labelled) -> tuple[Tensor, Tensor]:
        return self.rebinned(seen.counts) / self.gain, seen.valid

    def evidence(self, coarse: Tensor, valid: Tensor) -> tuple[Evidence, Tensor, Tensor, Normal]:
        """Evidence (..., filter) by family, share (..., coarse), total (..., 1), and the network's own answer."""
        normal = self.cvae(coarse, valid)
        total = over_energy(coarse).clamp_min(0.0)
        drift, share = normal.drift, normal.share
        for _ in range(DRIFT_STEPS):
            drift = drift + self._drift_step(coarse, valid, share * total)
            share = move_share(normal.unshifted, drift)
        expected = share * total
        raw, information = self.bank(coarse - expected, expected)
        standardised = self.bank.standardised(raw, total / self.reference_total)
        return Evidence(raw, standardised, information, expected), share, total, normal._replace(drift=drift)

    def _drift_step(self, coarse: Tensor, valid: Tensor, expected: Tensor) -> Tensor:
        """A Gauss-Newton step (batch, row) towards the shift that leaves a row's residuals without a slope.

        The head knows only the drift it has seen in training; this follows it further.
        """
        change = F.pad(expected[..., :-2] - expected[..., 2:], (1, 1)) * 0.5
        whitened = change / (expected + FLOOR)
        weight = over_energy(change * whitened)
        root = weight.sqrt().clamp_min(1e-6)
        pull = over_energy((coarse - expected) * whitened) / root
        row = over_row(torch.cat((pull.clamp(-DRIFT_CLIP, DRIFT_CLIP) * root, weight), -1), valid)
        return (row[..., 0] / (row[..., 1] + 1.0)).clamp(-0.5, 0.5)

    def forward(self, counts: Tensor) -> Scores:
        """Score raw counts (batch, row, column, energy), float32, NaN where missing."""
        seen = self.labels(counts)
        coarse, valid = self._effective(seen)
        found, share, total, normal = self.evidence(coarse, valid)
        strength = self.bank.strength(found.standardised)
        best = torch.stack([family.amax(-1) for family in strength], -1)
        kind = best[..., 1:].argmax(-1) + 1  # a spike is labelled and mended: the first family has nothing to win
        chosen = tuple(family.argmax(-1) for family in strength)
        middle = self._of_kind(self.bank.channel_of, chosen, kind)
        half = self._of_kind(self.bank.half_width_of, chosen, kind)
        peak = self.bank.located(found.standardised, kind, middle)
        coarse_ev = self.step_ev * self.architecture.rebin
        amount = amounts(self.bank, found, kind, chosen, self.gain, coarse_ev)
        gone = valid < 0.5
        spike = seen.label == SPIKE
        silent = (seen.label == VACUUM) | (seen.label == SATURATED)
        kind = torch.where(spike, 0, kind)
        fine = torch.where(spike, seen.channel, self._fine_channel(peak))
        span = torch.where(spike[..., None], fine[..., None], self._span(middle, half))
        amount = torch.where(spike[..., None], seen.excess, amount)
        return Scores(
            torch.where(gone, torch.nan, torch.where(silent, 0.0, best[..., 1:].amax(-1))),
            torch.where(gone, 0, fine),
            torch.where(gone, 0, kind),
            torch.where(gone[..., None], torch.nan, self._fine(share) * (total * self.gain)),
            torch.where(gone[..., None], torch.nan, normal.mean[:, :, 0].permute(0, 2, 3, 1)),
            seen.label,
            torch.where(gone[..., None], 0, span),
            torch.where(gone[..., None], torch.nan, amount),
            normal.drift * coarse_ev,
        )

    @staticmethod
    def _of_kind(table: tuple[Tensor, ...], chosen: tuple[Tensor, ...], kind: Tensor) -> Tensor:
        """What `table` holds of the filter chosen in the family that won."""
        all_families = [of.to(kind.device)[at] for of, at in zip(table, chosen, strict=True)]
        return torch.stack(all_families, -1).gather(-1, kind[..., None])[..., 0]

    def _span(self, middle: Tensor, half: Tensor) -> Tensor:
        """First and last detector channel (..., 2) of a window of coarse channels."""
        size, b = self.architecture.channels, self.architecture.rebin
        first, last = (middle - half) * b, (middle + half) * b + b - 1
        return torch.stack((first, last), -1).clamp(0, size - 1)

    def _fine_channel(self, coarse: Tensor) -> Tensor:
        """The detector channel in the middle of a coarse one."""
        size, b = self.architecture.channels, self.architecture.rebin
        return (coarse * b + (b - 1) // 2).clamp_max(size - 1)

    def _fine(self, share: Tensor) -> Tensor:
        """Coarse shares on the detector's channels: the ratio to the mean spectrum, interpolated, on the fine mean."""
        if self.architecture.rebin == 1:
            return share
        ratio = share.log() - self.cvae.log_mean
        fine = (ratio @ self.interpolation + self.fine_log_mean).exp()
        return fine / over_energy(fine)


def _interpolation(size: int, coarse: int, rebin: int) -> Tensor:
    """Matrix (coarse, energy) of straight lines between the middles of the coarse channels."""
    at = ((torch.arange(size) + 0.5) / rebin - 0.5).clamp(0, coarse - 1)
    return (1 - (at - torch.arange(coarse)[:, None]).abs()).clamp_min(0.0)
