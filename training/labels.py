"""What a pixel is beside its score: an X-ray spike, vacuum, saturated. The first node of the scoring graph.

A spike is taken out before anything else looks at the pixel, so that the rest of its spectrum is scored as any other.
Tensors are (batch, row, column, ...). Looks one row up and down.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from monitor.core.noise import NoiseEstimate
from training.seldom import Seldom
from training.shift import channels_of, over_energy
from training.spikes import REACH, tested, variance

LABELS = ("", "spike", "vacuum", "saturated")
"""Names of the labels; `label` is an index into them."""
SPIKE, VACUUM, SATURATED = 1, 2, 3
LOOK_ROWS = 1
"""Rows on either side that a label depends on; monitor/io/graph.py relies on it."""
VACUUM_SHARE = 0.05
"""Pixels with less than this share of the usual counts say nothing of the material."""
SUSPECT_SIGMA = 5.0
USUAL = 0.95
"""Share of the training pixels whose own sharpness at a channel is the material's, not a spike's."""
DRAWN = 4096
CLIPPED, PILED_UP = 8, 3
"""So many channels of pixels at the map's very maximum, and so many times as many as at any value a little below it."""
A_LITTLE = 0.05


class Labelled(NamedTuple):
    """`counts` (..., energy) mended, 0 where missing, their `total` (..., 1); `valid` (...) 1.0 or 0.0.

    `label` (...) index into LABELS, `channel` (...) where a spike peaks, `excess` (..., 2) its counts and their
    standard error.
    """

    counts: Tensor
    total: Tensor
    valid: Tensor
    label: Tensor
    channel: Tensor
    excess: Tensor


class Labels(nn.Module):
    """Labels raw counts and mends their spikes; before `learn` it finds nothing.

    Buffers: `noise` (3,) floor, gain, over-dispersion of a channel; `sharpness` (energy,) one over the step down to
    both sides at which a channel is suspected; `brightness` and `level`: usual counts of a pixel and of a channel;
    `full`: counts at which the detector is saturated, infinite where unknown.
    """

    noise: Tensor
    sharpness: Tensor
    brightness: Tensor
    level: Tensor
    full: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("noise", torch.tensor((0.0, 1.0, 0.0)))
        self.register_buffer("sharpness", torch.zeros(channels))
        self.register_buffer("brightness", torch.zeros(()))
        self.register_buffer("level", torch.ones(()))
        self.register_buffer("full", torch.full((), torch.inf))
        self.seldom = Seldom()

    def learn(self, spectra: NDArray[np.float32], noise: NoiseEstimate, *, bad: Iterable[int], full: float) -> None:
        """Take what is usual from `spectra` (pixel, energy) without a NaN; a `bad` channel never holds a spike.

        `full`: the largest counts that the detector can give, infinite where unknown.
        """
        total = spectra.sum(-1)
        bright = torch.from_numpy(spectra[total >= VACUUM_SHARE * np.median(total)])
        bright = bright[:: -(-len(bright) // DRAWN)]
        mean = bright.mean(0)
        self.noise.copy_(torch.tensor((noise.floor, noise.gain, noise.over_dispersion)))
        self.brightness.fill_(float(np.median(total)))
        self.level.copy_(mean.mean())
        usual = torch.quantile(_step_down(bright), USUAL, dim=0).clamp_min(0.0)
        sharpness = 1.0 / (SUSPECT_SIGMA * (2.0 * variance(self.noise, mean)).sqrt() + usual)
        sharpness[list(bad)] = 0.0
        self.sharpness.copy_(sharpness)
        sound = np.delete(spectra, list(bad), axis=-1)
        self.full.fill_(min(full, _clipped_at(sound)))

    def forward(self, counts: Tensor) -> Labelled:
        """Label and mend raw counts (batch, row, column, energy), float32, NaN where missing."""
        total = over_energy(counts)
        present = torch.isfinite(total)[..., 0]
        suspicion = _step_down(counts) * self.sharpness
        dose = total / self.brightness.clamp_min(1.0)
        usual = (variance(self.noise, self.level * dose) / variance(self.noise, self.level)).sqrt()[..., 0]
        suspect = (suspicion.amax(-1) > usual) & present
        none = torch.zeros_like(suspect, dtype=torch.long)
        mended, total, spike, channel, excess = self.seldom(
            (suspect | ~present).any(),
            self._mended(counts, total, present, suspect, suspicion, usual),
            (counts, total, none, none, torch.zeros_like(counts[..., :2])),
        )
        label = torch.where(total[..., 0] < VACUUM_SHARE * self.brightness, VACUUM, none)
        label = torch.where(spike > 0, SPIKE, label)
        label = torch.where(mended.amax(-1) >= self.full, SATURATED, label)
        label = torch.where(present, label, 0)
        return Labelled(mended, total, present.to(counts.dtype), label, channel, excess)

    def _mended(
        self, counts: Tensor, total: Tensor, present: Tensor, suspect: Tensor, suspicion: Tensor, usual: Tensor
    ) -> tuple[Tensor, ...]:
        """Counts without spikes, 0 where not `present`; their totals; is there a spike, its channel and excess."""
        clean = _zero_where(~present, counts)
        suspects = _places(suspect)
        block, seen = _three_by_three(clean, present, suspects)
        at = _flat(counts, *suspects.unbind(1))
        spikes = tested(block, seen, suspicion.flatten(0, 2)[at] / usual.flatten()[at, None], self.noise)
        none = torch.zeros_like(suspect, dtype=torch.long)
        mended = clean.flatten(0, 2).index_put((at,), spikes.spectra).view_as(clean)
        total = torch.where(present[..., None], total, 0.0).flatten(0, 2)
        # a pixel without a spike keeps its total to the last bit: a product of another size may round another way
        total = total.index_put((at,), torch.where(spikes.found[:, None], over_energy(spikes.spectra), total[at]))
        spike = none.flatten().index_put((at,), spikes.found.long()).view_as(none)
        channel = none.flatten().index_put((at,), spikes.channel).view_as(none)
        excess = torch.zeros_like(clean[..., :2]).flatten(0, 2).index_put((at,), spikes.excess)
        return mended, total.view(*none.shape, 1), spike, channel, excess.view(*none.shape, 2)


def _places(there: Tensor) -> Tensor:
    """Where `there` (batch, row, column) is true, (place, 3), and the first pixel in any case.

    ONNX Runtime gives tensors without a row other shapes than torch.
    """
    return F.pad(torch.nonzero(there), (0, 0, 0, 1))


def _zero_where(gone: Tensor, counts: Tensor) -> Tensor:
    """Counts (batch, row, column, energy), 0 in pixels that are `gone`; a choice for each channel would cost more."""
    at = _flat(counts, *_places(gone).unbind(1))
    spectra = torch.where(gone.flatten()[at, None], 0.0, counts.flatten(0, 2)[at])
    return counts.flatten(0, 2).index_put((at,), spectra).view_as(counts)


def _step_down(counts: Tensor) -> Tensor:
    """How far each channel tops the higher of those two away on either side, same shape; a border has one side."""
    size = channels_of(counts)
    padded = F.pad(counts, (REACH, REACH), value=-torch.inf)
    return counts - torch.maximum(padded[..., :size], padded[..., 2 * REACH :])


def _flat(counts: Tensor, batch: Tensor, row: Tensor, column: Tensor) -> Tensor:
    return (batch * counts.shape[1] + row) * counts.shape[2] + column


def _three_by_three(counts: Tensor, present: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Counts (pixel, 9, energy) round `pixels` (pixel, 3) of batch, row, column, and which are there (pixel, 9)."""
    steps = torch.arange(9, device=pixels.device)
    batch, row, column = pixels[:, :1], pixels[:, 1:2] + steps // 3 - 1, pixels[:, 2:] + steps % 3 - 1
    rows, columns = counts.shape[1], counts.shape[2]
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    at = _flat(counts, batch, row.clamp(0, rows - 1), column.clamp(0, columns - 1))
    return counts.flatten(0, 2)[at], inside & present.flatten()[at]


def _clipped_at(spectra: NDArray[np.float32]) -> float:
    """The counts that spectra (pixel, energy) never pass because the detector was full; infinite where none show it."""
    highest = float(spectra.max(initial=0.0))
    at_top = spectra >= highest
    near = spectra[(spectra >= highest - max(A_LITTLE * highest, 1.0)) & ~at_top]
    usual = np.unique(near, return_counts=True)[1].max(initial=1)
    pixels = int(at_top.any(-1).sum())
    clipped = at_top.sum() >= max(CLIPPED, PILED_UP * usual) and 1 < pixels < 0.5 * len(spectra)
    return highest if clipped and highest > 0 else float("inf")
