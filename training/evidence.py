"""From raw counts to evidence, in three stages: pixels are looked at, what was to be expected of them, what they show.

Law: a stage needs a row's neighbours of the stage before (training/carried.py) and nothing else beyond the row itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monitor.core.noise import NoiseEstimate
from training.bank import Evidence, FilterBank, Peaks
from training.carried import Expected, Looked
from training.cvae import Cvae
from training.drift import along_rows, of_pixels
from training.families import PIXELS
from training.labels import LOOK_ROWS, Labelled, Labels
from training.model import Architecture
from training.paper_network import PaperNetwork
from training.rows import within
from training.shift import SMALLEST_SHARE, move, over_energy

NETWORKS = {"cvae": Cvae, "paper": PaperNetwork}
POOLED_ROWS = 1
"""Rows on either side in the 3 x 3 sums of residuals."""
FLOOR = 1.0
"""Counts added to each variance, so that a single count in a vacuum is no event."""


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


class EvidenceGraph(nn.Module):
    """The network, the filter bank, and what puts their evidence on one footing.

    Buffers set by training: `gain` (detector counts of an effective count), `floor` (effective counts^2) and
    `over_dispersion` of a coarse channel's variance, `fine_log_mean` (energy,).
    """

    gain: Tensor
    floor: Tensor
    over_dispersion: Tensor
    fine_log_mean: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.labels = Labels(architecture.channels)
        self.cvae = NETWORKS[architecture.network](architecture)
        self.bank = FilterBank(architecture.coarse_energy, architecture.latent)
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("floor", torch.zeros(()))
        self.register_buffer("over_dispersion", torch.zeros(()))
        self.register_buffer("fine_log_mean", torch.full((architecture.channels,), 1.0 / architecture.channels).log())

    def set_noise(self, noise: NoiseEstimate) -> None:
        """Take the noise of coarse counts, whose variance is floor + gain x mean + over-dispersion x mean^2."""
        self.gain.fill_(noise.gain)
        self.floor.fill_(noise.floor / noise.gain**2)
        self.over_dispersion.fill_(noise.over_dispersion)

    @property
    def halo_rows(self) -> int:
        """Rows on either side that a score depends on: spike test, the network's reach, the 3 x 3 sum of residuals."""
        return LOOK_ROWS + self.looking

    @property
    def looking(self) -> int:
        """Of these, the rows that must have been looked at; the others tell what labels they have."""
        return self.cvae.reach + POOLED_ROWS

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

    def found(self, coarse: Tensor, valid: Tensor) -> Found:
        """Evidence of effective counts (batch, row, column, coarse), 0 where `valid` (batch, row, column) is."""
        none = torch.zeros_like(valid, dtype=torch.long)
        marks = none, none, torch.zeros_like(coarse[..., :2])
        return self.compared(self.expected(self.looked(coarse, over_energy(coarse), valid, *marks)))

    def looked(self, coarse: Tensor, total: Tensor, valid: Tensor, *marks: Tensor) -> Looked:
        """The first stage: effective counts as the network sees them, and the labels' `marks` of their pixels."""
        drift = self.cvae.drift(coarse, valid)
        return Looked(self.cvae.view(coarse, total, valid, drift), coarse, total, valid, drift, *marks)

    def expected(self, looked: Looked, halo: Tensor | None = None) -> Expected:
        """The second stage: what was to be expected, and what each pixel shows beside it."""
        coarse, total, valid, drift, *marks = (within(each, halo, POOLED_ROWS) for each in looked[1:])
        latent, _ = self.cvae.encode(looked.view, looked.valid, total, halo=halo, kept=POOLED_ROWS)
        unshifted, total = self.cvae.decode(latent), total.clamp_min(0.0)
        drift, factor = along_rows(coarse, valid, unshifted, total, drift)
        expected = move(unshifted, drift).clamp_min(SMALLEST_SHARE) * (total * factor[..., None, None])
        left, share = of_pixels(coarse, valid, expected, total, FLOOR)
        share = share / over_energy(share).clamp_min(SMALLEST_SHARE)
        expected = share * total
        sigma = (expected * (1.0 + self.over_dispersion * expected) + (FLOOR + self.floor)).sqrt()
        own = self.bank.own(coarse - expected, expected, sigma, total / self.cvae.usual_total)
        return Expected(*own, valid, share, total, sigma, latent[:, :, 0].permute(0, 2, 3, 1), drift + left, *marks)

    def compared(self, expected: Expected, halo: Tensor | None = None) -> Found:
        """The third stage: the evidence of each pixel and of its 3 x 3."""
        valid, share, total, sigma, latent, drift, *_ = (within(each, halo) for each in expected[3:])
        evidence = self.bank(*expected[:4], latent, halo)
        dose = total / self.cvae.usual_total
        peaks = self.bank.peaks(evidence, dose, self.bank.mixtures.doubt(share, total, PIXELS))
        return Found(evidence, peaks, share, total, sigma, dose, latent, drift, valid)

    def looked_at(self, counts: Tensor, halo: Tensor | None = None) -> Looked:
        """The first stage of raw counts (batch, row, column, energy), float32, NaN where missing."""
        seen = Labelled(*(within(x, halo, self.looking) for x in self.labels(counts)))
        return self.looked(self.rebinned(seen.counts) / self.gain, seen.total / self.gain, *seen[2:])
