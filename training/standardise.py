"""After training: what clean pixels show each filter and each family, at a quarter, once and four times the dose.

Medians and inner quantiles throughout, because the map may hold the very anomalies that are to be found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from monitor.core.noise import NoiseEstimate
from monitor.core.noise_draws import thinned
from training.absorption import left_of
from training.data import Role, TrainingMap
from training.doses import SUMMED, summed
from training.edge_shapes import every_edge, may_be_too_few
from training.evidence import Found
from training.families import FAMILIES
from training.levels import DOSES
from training.plural_scattering import rethickened
from training.scoring import ScoringGraph
from training.strips import strips

PIXELS = 20_000
"""Pixels looked at, drawn at random from larger maps."""
FEWEST = 200
"""Pixels that a dose must have to be judged by itself."""
USUAL, HIGH, HIGH_OF_LATENT = 0.5, 0.9, 0.998
"""Quantiles that say what strength is usual and how fast it falls off; that of latents falls off in no known way."""
SCATTERED = ((0.0, 1.0), (0.4, 16.0), (0.8, 16.0), (0.4, 26.0), (0.8, 26.0))
"""Shares of the spectrum that are added after one more loss of so many eV: up to a specimen twice as thick."""
SCATTERED_LESS = (-0.3, 23.0)
"""Likewise of a thinner specimen. Of a loss of 20 or 26 eV the network leaves the same (cosine above .9)."""
LATENT_CARE = {0.25: 1.35, 1.0: 1.35, 4.0: 1.8}
"""Latents of a map that was learned from lie closer than those of another; their scale is made so much wider, the most
at the dose that added pixels stand for."""
LEAST_SPREAD = 0.5
UNLIMITED = 1e6
QUIET = 0.95
"""Share of the pixels that are unsuspicious in a family."""


class CleanMaps(NamedTuple):
    """Maps to learn what is normal from, and the noise of their counts."""

    maps: Sequence[TrainingMap]
    noise: NoiseEstimate


Look = Callable[[Found], tuple[Tensor, ...]]


@torch.no_grad()
def standardise(graph: ScoringGraph, clean: CleanMaps) -> None:
    """Set everything in the bank that clean data decide, from the pixels that are not held for calibration.

    Anew, whatever was set before.
    """
    graph.eval()
    bank, energy, device = graph.bank, graph.architecture.coarse_energy, graph.gain.device
    edges = every_edge(energy)[0]
    bank.edges.copy_(edges)
    for spread in (bank.moved.spread, *(each for _, each in bank.linear())):
        spread.fill_(1.0)
    share, total, latent = _thicker(graph, clean, lambda found: (found.share, found.total, found.latent))
    bank.to("cpu")  # what is seen comes back on the CPU
    bank.moved.look_at(share * total)
    bank.latent.learn(latent, share)
    as_they_are = slice(len(share) // len(SCATTERED))
    spectra = bank.latent.spectra(latent[as_they_are], share[as_they_are])
    bank.mixtures.learn_expected(share, float(graph.cvae.usual_total))
    bank.mixtures.learn_reach(share[as_they_are])
    bank.to(device)
    noise = (bank.mixtures.usual * graph.cvae.usual_total).sqrt()

    def in_noise(found: Found) -> tuple[Tensor, ...]:
        return found.evidence.three * found.sigma / noise, *_filters(found)

    three, *z = _thicker(graph, clean, in_noise)
    thinner, *z_thinner = seen_at(graph, clean, 1.0, in_noise, scattered=SCATTERED_LESS)
    bank.mixtures.to("cpu").learn_left(three[_unsuspicious(z)], 9, spectra, energy.step_ev)
    bank.mixtures.learn_thinner(thinner[_unsuspicious(z_thinner)], 9)
    bank.to(device)
    left, added = left_of(graph, spectra, edges)
    bank.too_few.copy_(may_be_too_few(energy, spectra))
    bank.learn_edges(left.to(device), added.to(device), noise.to(device))
    *linear, shift, shift_3 = (_spread(each) for each in seen_at(graph, clean, 1.0, _filters))
    for (_, spread), seen in zip(bank.linear(), linear, strict=True):
        spread.copy_(seen.clamp_min(LEAST_SPREAD))
    bank.moved.spread.copy_(torch.stack((shift, shift_3)).clamp_min(1.0))
    bank.tabulate()
    bank.levels.scale.fill_(UNLIMITED)  # nothing is too far beyond the usual while that is looked for
    levels = [_level(dose, *seen_at(graph, clean, dose, lambda found: (found.peaks.strength,))) for dose in DOSES]
    usual = levels[DOSES.index(1.0)]
    assert usual is not None, "there are training pixels"
    for row, level in enumerate(levels):
        bank.levels.middle[row], bank.levels.scale[row] = level or usual


def _thicker(graph: ScoringGraph, clean: CleanMaps, look: Look) -> tuple[Tensor, ...]:
    """What `look` takes from the maps as they are and as they would be of a thicker specimen: that is no anomaly."""
    seen = [seen_at(graph, clean, 1.0, look, scattered=scattered) for scattered in SCATTERED]
    return tuple(torch.cat(each) for each in zip(*seen, strict=True))


def _filters(found: Found) -> tuple[Tensor, ...]:
    return *found.evidence.linear, *found.evidence.shift


def _unsuspicious(z: Sequence[Tensor]) -> Tensor:
    """Mask of the pixels that stand out in no family (pixel, filter)."""
    spreads = [_spread(each[:: len(SCATTERED)]).clamp_min(LEAST_SPREAD) for each in z]  # of some: sorting costs most
    largest = torch.stack([(each / spread).abs().amax(-1) for each, spread in zip(z, spreads, strict=True)], -1)
    return (largest <= largest.quantile(QUIET, dim=0)).all(-1)


def _level(dose: float, strength: Tensor) -> tuple[Tensor, Tensor] | None:
    """Usual strength (family,) and how far beyond it one pixel in ten is; None of too few pixels (pixel, family)."""
    if len(strength) < FEWEST:
        return None
    high = torch.full((strength.shape[1],), HIGH)
    high[FAMILIES.index("latent")] = HIGH_OF_LATENT
    usual, reached = strength.quantile(USUAL, dim=0), strength.quantile(high, dim=0).diagonal()
    scale = ((reached - usual) / ((1.0 - USUAL) / (1.0 - high)).log()).clamp_min(1e-3)
    scale[FAMILIES.index("latent")] *= LATENT_CARE[dose]
    return usual, scale


def seen_at(
    graph: ScoringGraph,
    clean: CleanMaps,
    dose: float,
    look: Look,
    roles: Sequence[Role] = (Role.TRAIN, Role.VALIDATE),
    scattered: tuple[float, float] = (0.0, 1.0),
) -> tuple[Tensor, ...]:
    """What `look` takes from the graph's findings, (pixel, ...), at `dose` times the maps' own counts.

    `scattered`: what share of the spectrum is added after one more loss of how many eV.
    More dose is had by adding up pixels, less by thinning. Labelled pixels are left out.
    """
    dice, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    kept = min(1.0, PIXELS / max(sum(m.role.size for m in clean.maps), 1))
    parts: list[tuple[Tensor, ...]] = []
    drawn = [torch.rand(m.role.shape, generator=dice) < kept for m in clean.maps]  # first: every look takes the same
    for item, chosen in zip(clean.maps, drawn, strict=True):
        use = torch.from_numpy(np.isin(item.role, roles).astype(np.float32)) * chosen
        counts = item.counts if dose >= 1.0 else thinned(item.counts, dose, clean.noise, rng)
        tensor = torch.from_numpy(counts.astype(np.float32, copy=False))[None].to(graph.gain.device)
        coarse, valid, label = (x[0] for x in graph.effective(tensor))
        if scattered[0] != 0:
            coarse = rethickened(coarse, *scattered, graph.architecture.coarse_energy.step_ev, dice) * valid[..., None]
        use *= (label == 0).to(use)
        if dose > 1.0:
            use, (coarse, valid) = summed(use[..., None], use)[1], summed(coarse, valid)
        with _noise_of_sums(graph, SUMMED**2 if dose > 1.0 else 1):
            for strip in strips(len(coarse), graph.halo_rows, coarse[0].numel()):
                found = graph.found(coarse[None, strip.halo], valid[None, strip.halo])
                mask = (use[strip.core].to(coarse.device) > 0) & (found.valid[0, strip.inner] > 0)
                parts.append(tuple(each[0, strip.inner][mask].cpu() for each in look(found)))
    return tuple(torch.cat(each) for each in zip(*parts, strict=True))


@contextmanager
def _noise_of_sums(graph: ScoringGraph, pixels: int) -> Iterator[None]:
    """While it lasts the noise is that of sums: read out as often, and each of the pixels over-dispersed by itself."""
    floor, over_dispersion = graph.floor.clone(), graph.over_dispersion.clone()
    graph.floor.mul_(pixels)
    graph.over_dispersion.div_(pixels)
    try:
        yield
    finally:
        graph.floor.copy_(floor)
        graph.over_dispersion.copy_(over_dispersion)


def _spread(z: Tensor) -> Tensor:
    """Standard deviation of clean evidence (pixel, filter): the wider of the middle half and the middle nine tenths."""
    half = z.abs().median(0).values * 1.4826
    low, high = (z.kthvalue(max(int(q * len(z)), 1), 0).values for q in (0.05, 0.95))
    return torch.maximum(half, (high - low) / 3.29)
