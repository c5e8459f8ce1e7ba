"""A fresh graph that knows its data's mean, noise and labels, and the maps as the loop wants them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from monitor.core.axes import EnergyAxis
from monitor.core.bad_channels import bad_channels
from monitor.core.map_sums import MapSums
from monitor.core.noise import NoiseEstimate, estimate_noise
from monitor.core.noise_fit import NoiseFit
from training.config import TrainConfig
from training.crops import TrainingMaps
from training.data import Role, TrainingSet
from training.evidence import NETWORKS
from training.labels import SATURATED
from training.model import Architecture
from training.scoring import ScoringGraph

MOST_COUNTS_A_PIXEL = 5e6
"""Effective counts a pixel is given at most: beyond it single precision shows in the score, and data without any noise
would have a gain of 0."""


def prepare(
    data: TrainingSet, config: TrainConfig, device: torch.device, noise_of_counts: NoiseFit
) -> tuple[ScoringGraph, TrainingMaps]:
    """A fresh graph that knows the data's mean, noise and labels, and the maps as the loop wants them.

    Their spikes are mended; saturated pixels teach nothing.
    """
    torch.manual_seed(config.seed)
    graph = new_graph(data.energy, config)
    _learn_labels(graph, data, noise_of_counts)
    seen = [graph.labels(torch.from_numpy(m.counts)[None]) for m in data.maps]
    raw = [graph.rebinned(each.counts)[0] for each in seen]
    masks = [{role: torch.from_numpy((m.role == role).astype(np.float32)) for role in Role} for m in data.maps]
    for mask, each in zip(masks, seen, strict=True):
        mask[Role.TRAIN] *= each.label[0] != SATURATED
    noise = _coarse_noise(raw[0], masks[0][Role.MISSING] > 0)
    gain = noise.gain
    graph.set_noise(noise)
    fine = [each.counts[0][mask[Role.TRAIN] > 0] for each, mask in zip(seen, masks, strict=True)]
    graph.set_mean(torch.cat(fine).mean(0))
    spectra = torch.cat([x[mask[Role.TRAIN] > 0] for x, mask in zip(raw, masks, strict=True)]) / gain
    graph.cvae.set_input_scale(spectra)
    maps = TrainingMaps(
        coarse=tuple((x / gain).to(device) for x in raw),
        train=tuple(mask[Role.TRAIN].to(device) for mask in masks),
        validate=tuple(mask[Role.VALIDATE].to(device) for mask in masks),
    )
    graph.to(device)
    if device.type == "cpu":
        graph.cvae.to(memory_format=torch.channels_last_3d)  # a sixth less time a step
    return graph, maps


def _learn_labels(graph: ScoringGraph, data: TrainingSet, fit: NoiseFit) -> None:
    bad = [channel.channel for channel in bad_channels(MapSums.of(data.maps[0].counts), fit)]
    spectra = data.spectra(Role.TRAIN, Role.VALIDATE)
    graph.labels.learn(spectra, NoiseEstimate.of(fit), bad=bad, full=data.full)


def _coarse_noise(coarse: torch.Tensor, missing: torch.Tensor) -> NoiseEstimate:
    """Noise of coarse counts (row, column, coarse): not that of fine ones where channels are correlated."""
    counts = torch.where(missing[..., None], torch.nan, coarse).numpy()
    noise = estimate_noise(counts)
    least = float(np.nanmedian(counts.sum(-1))) / MOST_COUNTS_A_PIXEL
    return replace(noise, gain=max(noise.gain, least))


def new_graph(energy: EnergyAxis, config: TrainConfig) -> ScoringGraph:
    """The graph that `config` describes, for spectra on the axis `energy`, not yet trained."""
    architecture = Architecture(
        channels=energy.size,
        step_ev=energy.step_ev,
        offset_ev=energy.offset_ev,
        network=config.model,
        coarse_limit=config.coarse_limit,
        widths=tuple(config.width * feature for feature in NETWORKS[config.model].features),
        latent=config.latent,
    )
    return ScoringGraph(architecture)
