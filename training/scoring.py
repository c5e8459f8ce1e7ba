"""From raw counts to a score: the one graph that training, export, offline scoring and the live monitor share.

Law: counts come in as the detector gave them; rebinning, normalisation, network, filters, standardisation are inside.
A pixel with a NaN or infinite channel is missing: its own outputs are NaN (index and kind 0), its neighbours do
without it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from training.carried import Carried, Expected, Looked, handed_on, joined
from training.evidence import POOLED_ROWS, EvidenceGraph, Found
from training.labels import SATURATED, SPIKE, VACUUM
from training.model import Architecture
from training.rows import rest, within
from training.shift import SMALLEST_SHARE, over_energy
from training.verdict import verdicts

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


class ScoringGraph(EvidenceGraph):
    """The evidence, and what puts it on one footing and into words."""

    interpolation: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        table = _interpolation(architecture.channels, architecture.coarse, architecture.rebin)
        self.register_buffer("interpolation", table, persistent=False)

    def levelled(self, found: Found) -> tuple[Tensor, Tensor]:
        """How far the strongest evidence is beyond the usual, and total effective counts, (batch, row, column)."""
        return self.bank.levels(found.peaks.strength, found.dose).amax(-1), found.total[..., 0]

    def forward(self, counts: Tensor, halo: Tensor | None = None) -> Scores:
        """Score raw counts (batch, row, column, energy), float32, NaN where missing.

        Rows of the `halo` (training/rows.py) have no scores of their own: they are not in the outputs.
        """
        looked = self.looked_at(counts, halo)
        halo = rest(halo, self.looking)
        return self._scores(self.expected(looked, halo), rest(halo, POOLED_ROWS))

    def going_on(self, counts: Tensor, halo: Tensor, early: Tensor, above: Carried) -> tuple[Scores, Carried]:
        """As `forward`, below rows that were scored; and what the rows below need, but of the last `early` rows.

        Where anything is carried, `counts` begin with the last row that was looked at for it.
        """
        looked = joined(above, self.looked_at(counts, halo))
        expected = joined(above, self.expected(looked, rest(halo, self.looking)))
        carried = self._handed_on(looked, expected, early, halo[1])
        return self._scores(expected, rest(halo, POOLED_ROWS)), carried

    def carried(self, counts: Tensor) -> Carried:
        """What would be handed on below a map of `counts`: its form, for the model file."""
        looked = self.looked_at(counts)
        none = torch.zeros((), dtype=torch.long)
        return self._handed_on(looked, self.expected(looked), none, none)

    def _handed_on(self, looked: Looked, expected: Expected, early: Tensor, below: Tensor) -> Carried:
        # A stage ends with the early rows where nothing follows; rows that do follow take their place in its halo.
        early_looked, early_expected = (
            (early + below.clamp_max(far) - far).clamp_min(0) for far in (self.looking, POOLED_ROWS)
        )
        return Carried(
            **handed_on(looked, self.cvae.reach, early_looked),
            **handed_on(expected, POOLED_ROWS, early_expected),
        )

    def _scores(self, expected: Expected, halo: Tensor | None) -> Scores:
        found = self.compared(expected, halo)
        label, channel, excess = (within(x, halo) for x in (expected.label, expected.channel, expected.excess))
        levelled = self.bank.levels(found.peaks.strength, found.dose)
        best = levelled.argmax(-1)
        coarse_ev = self.architecture.coarse_energy.step_ev
        verdict = verdicts(self.bank, found, best, self.gain, coarse_ev)
        gone, spike = found.valid < 0.5, label == SPIKE
        silent = (label == VACUUM) | (label == SATURATED)
        at = torch.where(spike, channel, self._fine_channel(verdict.at))
        span = torch.where(spike[..., None], at[..., None], self._span(verdict.at, verdict.half))
        amount = torch.where(spike[..., None], excess, verdict.amount)
        return Scores(
            torch.where(gone, torch.nan, torch.where(silent, 0.0, score_of(levelled.amax(-1)))),
            torch.where(gone, 0, at),
            torch.where(gone | spike, 0, best + 1),
            torch.where(gone[..., None], torch.nan, self._fine(found.share) * (found.total * self.gain)),
            torch.where(gone[..., None], torch.nan, found.latent),
            label,
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
