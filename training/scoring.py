"""From raw counts to a score: the one graph that training, export, offline scoring and the live monitor share.

Law: counts come in as the detector gave them; rebinning, normalisation, network, filters, standardisation are inside.
A pixel with a NaN or infinite channel is missing: its own outputs are NaN (index and kind 0), its neighbours do
without it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monitor.core.noise import NoiseEstimate
from training.bank import PIXELS, Evidence, FilterBank, Peaks
from training.cvae import Cvae
from training.drift import along_rows, of_pixels
from training.labels import LOOK_ROWS, SATURATED, SPIKE, VACUUM, Labelled, Labels
from training.model import Architecture
from training.paper_network import PaperNetwork
from training.rows import rest, within
from training.shift import SMALLEST_SHARE, move, over_energy
from training.verdict import verdicts

NETWORKS = {"cvae": Cvae, "paper": PaperNetwork}
POOLED_ROWS = 1
"""Rows on either side in the 3 x 3 sums of residuals."""
FLOOR = 1.0
"""Counts added to each variance, so that a single count in a vacuum is no event."""
LEAST_SCORE, USUAL_SCORE, SCORE_UNIT = 0.0, 3.0, 0.4
"""A score reads like standard deviations: what the largest of some hundred filters reaches in pure noise."""


class Scores(NamedTuple):
    """The outputs of the graph, in the order of the model file; shapes (batch, row, column[, energy or latent]).

    `span` (..., 2) first and last input channel of the evidence, `amount` (..., 2) value and standard error, `drift`
    (batch, row) in eV.
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


class Found(NamedTuple):
    """What was seen and what was expected, in effective counts of coarse channels; `dose` (..., 1) of the usual."""

    evidence: Evidence
    peaks: Peaks
    share: Tensor
    total: Tensor
    sigma: Tensor
    dose: Tensor
    latent: Tensor
    drift: Tensor
    valid: Tensor


class ScoringGraph(nn.Module):
    """The network, the filter bank, and what puts their evidence on one footing.

    Buffers set by training: `gain` (detector counts of an effective count), `floor` (effective counts^2) and
    `over_dispersion` of a coarse channel's variance, `fine_log_mean` (energy,).
    """

    gain: Tensor
    floor: Tensor
    over_dispersion: Tensor
    fine_log_mean: Tensor
    interpolation: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.labels = Labels(architecture.channels)
        self.cvae = NETWORKS[architecture.network](architecture)
        size, b = architecture.channels, architecture.rebin
        self.bank = FilterBank(architecture.coarse_energy, architecture.latent)
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("floor", torch.zeros(()))
        self.register_buffer("over_dispersion", torch.zeros(()))
        self.register_buffer("fine_log_mean", torch.full((size,), 1.0 / size).log())
        self.register_buffer("interpolation", _interpolation(size, architecture.coarse, b), persistent=False)

    def set_noise(self, noise: NoiseEstimate) -> None:
        """Take the noise of coarse counts, whose variance is floor + gain x mean + over-dispersion x mean^2."""
        self.gain.fill_(noise.gain)
        self.floor.fill_(noise.floor / noise.gain**2)
        self.over_dispersion.fill_(noise.over_dispersion)

    @property
    def halo_rows(self) -> int:
        """Rows on either side that a score depends on: spike test, the network's reach, the 3 x 3 sum of residuals."""
        return LOOK_ROWS + self.cvae.reach + POOLED_ROWS

    def set_mean(self, mean: Tensor) -> None:
        """Take the mean spectrum (energy,) of the training data, in counts."""
        floor = mean.clamp_min(0.0).mean() * 1e-3
        fine = mean.clamp_min(float(floor))
        coarse = self.rebinned(fine[None, None, None])[0, 0, 0]
        self.fine_log_mean.copy_((fine / fine.sum()).log())
        self.cvae.log_mean.copy_((coarse / coarse.sum()).log())

    def rebinned(self, counts: Tensor) -> Tensor:
        """Counts (..., energy) added up to coarse channels (..., coarse)."""
        a = self.architecture
        if a.rebin == 1:
            return counts
        padded = F.pad(counts, (0, left_over)) if (left_over := a.coarse * a.rebin - a.channels) else counts
        parts = padded.reshape(*counts.shape[:-1], a.coarse, a.rebin).unbind(-1)
        return sum(parts[1:], parts[0])

    def effective(self, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coarse counts over gain, spikes mended, 0 where missing; the mask, 1.0 where finite; the label."""
        seen = self.labels(counts)
        return self.rebinned(seen.counts) / self.gain, seen.valid, seen.label

    def found(self, coarse: Tensor, valid: Tensor, halo: Tensor | None = None) -> Found:
        """Evidence of effective counts (batch, row, column, coarse), 0 where `valid` (batch, row, column) is.

        Rows of the `halo` (training/rows.py) are not in it.
        """
        normal = self.cvae(coarse, valid, halo=halo, kept=POOLED_ROWS)
        coarse, valid = within(coarse, halo, POOLED_ROWS), within(valid, halo, POOLED_ROWS)
        halo = rest(halo, POOLED_ROWS)
        total = over_energy(coarse).clamp_min(0.0)
        drift = along_rows(coarse, valid, normal.unshifted * total, normal.drift)
        expected = move(normal.unshifted, drift).clamp_min(SMALLEST_SHARE) * total
        left, share = of_pixels(coarse, valid, expected, FLOOR)
        share = share / over_energy(share).clamp_min(SMALLEST_SHARE)
        expected = share * total
        sigma = (expected * (1.0 + self.over_dispersion * expected) + (FLOOR + self.floor)).sqrt()
        latent = normal.mean[:, :, 0].permute(0, 2, 3, 1)
        dose = total / self.cvae.usual_total
        evidence = self.bank(coarse - expected, expected, sigma, valid, within(latent, halo), dose, halo)
        seen = share, total, sigma, dose, latent, drift + left, valid
        share, total, *others = (within(x, halo) for x in seen)
        peaks = self.bank.peaks(evidence, self.bank.mixtures.doubt(share, total, PIXELS))
        return Found(evidence, peaks, share, total, *others)

    def levelled(self, found: Found) -> tuple[Tensor, Tensor]:
        """How far the strongest evidence is beyond the usual, and total effective counts, (batch, row, column)."""
        return self.bank.levels(found.peaks.strength, found.dose).amax(-1), found.total[..., 0]

    def forward(self, counts: Tensor, halo: Tensor | None = None) -> Scores:
        """Score raw counts (batch, row, column, energy), float32, NaN where missing.

        Rows of the `halo` (training/rows.py) have no scores of their own: they are not in the outputs.
        """
        seen = Labelled(*(within(x, halo, self.halo_rows - LOOK_ROWS) for x in self.labels(counts)))
        halo = rest(halo, self.halo_rows - LOOK_ROWS)
        found = self.found(self.rebinned(seen.counts) / self.gain, seen.valid, halo)
        seen = Labelled(*(within(x, halo) for x in seen))
        levelled = self.bank.levels(found.peaks.strength, found.dose)
        best = levelled.argmax(-1)
        coarse_ev = self.architecture.coarse_energy.step_ev
        verdict = verdicts(self.bank, found, best, self.gain, coarse_ev)
        gone, spike = seen.valid < 0.5, seen.label == SPIKE
        silent = (seen.label == VACUUM) | (seen.label == SATURATED)
        at = torch.where(spike, seen.channel, self._fine_channel(verdict.at))
        span = torch.where(spike[..., None], at[..., None], self._span(verdict.at, verdict.half))
        amount = torch.where(spike[..., None], seen.excess, verdict.amount)
        return Scores(
            torch.where(gone, torch.nan, torch.where(silent, 0.0, score_of(levelled.amax(-1)))),
            torch.where(gone, 0, at),
            torch.where(gone | spike, 0, best + 1),
            torch.where(gone[..., None], torch.nan, self._fine(found.share) * (found.total * self.gain)),
            torch.where(gone[..., None], torch.nan, found.latent),
            seen.label,
            torch.where(gone[..., None], 0, span),
            torch.where(gone[..., None], torch.nan, amount),
            found.drift * coarse_ev,
        )

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
        ratio = share.clamp_min(SMALLEST_SHARE).log() - self.cvae.log_mean
        fine = (ratio @ self.interpolation + self.fine_log_mean).exp()
        return fine / over_energy(fine)


def score_of(levelled: Tensor) -> Tensor:
    """The score of evidence that is so far beyond the usual, same shape."""
    return (USUAL_SCORE + SCORE_UNIT * levelled).clamp_min(LEAST_SCORE)


def _interpolation(size: int, coarse: int, rebin: int) -> Tensor:
    """Matrix (coarse, energy) of straight lines between the middles of the coarse channels."""
    at = ((torch.arange(size) + 0.5) / rebin - 0.5).clamp(0, coarse - 1)
    return (1 - (at - torch.arange(coarse)[:, None]).abs()).clamp_min(0.0)
