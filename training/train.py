"""One training run from files to a finished run folder: load, train, standardise, calibrate, write."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np
import torch
from pydantic import ValidationError

from monitor.core.axes import EnergyAxis
from monitor.core.bad_channels import bad_channels
from monitor.core.errors import DataError
from monitor.core.map_sums import MapSums
from monitor.core.model_card import Noise
from monitor.core.noise import NoiseEstimate, estimate_noise
from monitor.core.noise_fit import NoiseFit, fit_noise
from training.calibrate import calibrate
from training.checkpoint import load_tensors, save_tensors
from training.config import TrainConfig
from training.crops import TrainingMaps
from training.data import Role, TrainingSet
from training.device import available_cores, pick_device
from training.evidence import NETWORKS
from training.given_drift import teach
from training.labels import SATURATED
from training.loop import Progress, fit
from training.model import Architecture
from training.run import (
    CHECKPOINT,
    MODEL,
    Outcome,
    RunRecord,
    check_same,
    clear,
    finished_record,
    read_record,
    write_record,
)
from training.scoring import ScoringGraph
from training.standardise import CleanMaps, standardise
from training.suspects import without_suspects

MOST_COUNTS_A_PIXEL = 5e6
"""Effective counts a pixel is given at most: beyond it single precision shows in the score, and data without any noise
would have a gain of 0."""


def train_run(
    run: Path,
    data: TrainingSet,
    config: TrainConfig,
    *,
    restart: bool = False,
    report: Callable[[Progress, float], None] | None = None,
) -> tuple[RunRecord, bool]:
    """Train on `data` in folder `run`, going on where an earlier call was cut off.

    Returns the finished record and whether anything was left to do. Raises ConfigError where the folder holds a run
    with other settings or data and `restart` is not given.
    """
    started = time.monotonic()
    if restart:
        clear(run)
    record = read_record(run)
    if record is not None:
        check_same(run, record, config, list(data.inputs))
        if record.outcome is not None and (run / MODEL).exists():
            return record, False
    record = RunRecord(
        title=data.title,
        config=config.model_dump(),
        inputs=list(data.inputs),
        energy=data.energy,
        notes=list(data.notes),
    )
    write_record(run, record)
    device = pick_device(config.device)
    torch.set_num_threads(available_cores())
    noise_of_counts = fit_noise(data.maps[0].counts)
    graph, maps = prepare(data, config, device, noise_of_counts)
    history = fit(graph, maps, config, checkpoint=run / CHECKPOINT, report=report)
    teach(graph.cvae, maps, config)
    noise = NoiseEstimate.of(noise_of_counts)
    clean = CleanMaps(data.maps, noise)
    standardise(graph, clean)
    if (unsuspected := without_suspects(graph, clean)) is not clean:
        standardise(graph, unsuspected)
    calibration, left_out = calibrate(graph, clean)
    if left_out:
        said = f"{left_out} of the scores stand far from all others and were left out of the calibration"
        record = msgspec.structs.replace(record, notes=[*record.notes, said])
    best = min(history, key=lambda item: item.validation)
    outcome = Outcome(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 1),
        device=device.type,
        losses={name: round(value, 8) for name, value in msgspec.to_builtins(best).items()},
        noise=Noise(
            gain=noise.gain,
            channel_correlation=float(np.clip(noise.channel_correlation, -1.0, 1.0)),
            correlation=[float(value) for value in noise.correlation],
            floor=noise.floor,
            over_dispersion=noise.over_dispersion,
        ),
        calibration=calibration,
        versions={name: _version(name) for name in ("eelswatch", "torch", "numpy")},
    )
    save_tensors(run / MODEL, {"graph": graph.cpu().state_dict()})
    record = msgspec.structs.replace(record, history=[msgspec.to_builtins(item) for item in history], outcome=outcome)
    write_record(run, record)
    (run / CHECKPOINT).unlink(missing_ok=True)
    return record, True


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


def load_graph(run: Path) -> tuple[ScoringGraph, RunRecord, Outcome]:
    """The trained graph of a finished run, on the CPU. Raises DataError or ModelError where there is none."""
    record, outcome = finished_record(run)
    try:
        graph = new_graph(record.energy, TrainConfig.model_validate(record.config))
        graph.load_state_dict(load_tensors(run / MODEL)["graph"])
    except (ValidationError, RuntimeError, KeyError) as fault:
        raise DataError(f"{run} was made by another version of eelswatch; train again with --restart") from fault
    return graph.eval(), record, outcome


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
