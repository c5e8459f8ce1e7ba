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

from monitor.core.errors import DataError
from monitor.core.model_card import Noise
from monitor.core.noise import NoiseEstimate
from monitor.core.noise_fit import fit_noise
from training.calibrate import SUSPECT, calibrate
from training.checkpoint import load_tensors, save_tensors
from training.config import TrainConfig
from training.data import TrainingSet
from training.device import available_cores, pick_device
from training.fresh import new_graph, prepare
from training.given_drift import teach
from training.loop import Progress, fit
from training.run import (
    CHECKPOINT,
    MODEL,
    SUSPECTS,
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
from training.suspects import number, remember, remembered, without_suspects


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
    noise = NoiseEstimate.of(noise_of_counts)
    clean = CleanMaps(data.maps, noise)

    def learn(seen: CleanMaps) -> tuple[ScoringGraph, list[Progress]]:
        graph, maps = prepare(replace(data, maps=tuple(seen.maps)), config, device, noise_of_counts)
        history = fit(graph, maps, config, checkpoint=run / CHECKPOINT, report=report)
        teach(graph.cvae, maps, config)
        standardise(graph, seen)
        return graph, history

    apart = remembered(run / SUSPECTS, clean)
    graph, history = learn(apart or clean)
    if apart is None and (apart := without_suspects(graph, clean)) is not clean:
        (run / CHECKPOINT).unlink(missing_ok=True)
        remember(run / SUSPECTS, apart)
        graph, history = learn(apart)  # anew: what a network has seen of anomalies it expects
    calibration, left_out = calibrate(graph, apart)
    notes = list(record.notes)
    if apart is not clean:
        suspects = number(apart, SUSPECT)
        notes.append(f"{suspects} pixels stand far from all others; what is normal was learned anew without them")
    if left_out:
        notes.append(f"{left_out} of the scores stand far from all others and were left out of the calibration")
    record = msgspec.structs.replace(record, notes=notes)
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
    for left_over in (CHECKPOINT, SUSPECTS):
        (run / left_over).unlink(missing_ok=True)
    return record, True


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
