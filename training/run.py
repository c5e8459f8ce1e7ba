"""The run folder: what went in, how far it got, and the trained graph.

    run.json         configuration, inputs, axes, notes, and once finished: losses, noise, calibration
    suspects.pt      pixels without which an unfinished run is trained again
    checkpoint.pt    where an unfinished run stands
    model.pt         the weights and buffers of the finished graph

`run.json` is the one witness of whether a run is finished.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from monitor.core.axes import EnergyAxis
from monitor.core.calibration import Calibration
from monitor.core.errors import ConfigError, DataError
from monitor.core.model_card import Noise, TrainingInput
from monitor.files.atomic import replacing
from training.config import TrainConfig

RECORD, SUSPECTS, CHECKPOINT, MODEL = "run.json", "suspects.pt", "checkpoint.pt", "model.pt"

Scalar = bool | int | float | str | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished run has to show."""

    finished: str
    seconds: float
    device: str
    losses: dict[str, float]
    noise: Noise
    calibration: Calibration
    versions: dict[str, str]


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One training run; `outcome` is None until it is finished."""

    title: str
    config: dict[str, Scalar]
    inputs: list[TrainingInput]
    energy: EnergyAxis
    notes: list[str]
    history: list[dict[str, float]] = []
    outcome: Outcome | None = None


def read_record(run: Path) -> RunRecord | None:
    """The record in folder `run`, None where there is none. Raises DataError where it cannot be read."""
    try:
        return msgspec.json.decode((run / RECORD).read_bytes(), type=RunRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as fault:
        raise DataError(f"{run / RECORD} is not the record of a run ({fault}); train with --restart") from fault


def finished_record(run: Path) -> tuple[RunRecord, Outcome]:
    """The record of a finished run. Raises DataError where there is no run or it is not finished."""
    record = read_record(run)
    if record is None:
        raise DataError(f"{run} is not a training run (no {RECORD}); make one with 'eelswatch train FILE -o {run}'")
    if record.outcome is None or not (run / MODEL).exists():
        raise DataError(f"the run {run} is not finished; give the same 'eelswatch train' command again to finish it")
    return record, record.outcome


def write_record(run: Path, record: RunRecord) -> None:
    """Write the record whole or not at all. Raises DataError where the folder cannot be written to."""
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise DataError(f"{run} cannot be made a folder ({fault.strerror}); choose another place") from fault
    with replacing(run / RECORD) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))


def check_same(run: Path, record: RunRecord, config: TrainConfig, inputs: list[TrainingInput]) -> None:
    """Raise ConfigError where the run in `run` was started with other settings or other files.

    A setting that the record does not know is younger than the run, which was made as its default has it.
    """
    wanted, recorded = config.model_dump(), TrainConfig().model_dump() | record.config
    changed = [key for key, value in wanted.items() if recorded[key] != value]
    if changed:
        key = changed[0]
        raise ConfigError(
            f"the run {run} was started with {key}={recorded[key]}, now {key}={wanted[key]}; "
            "choose another folder or give --restart"
        )
    if [item.sha256 for item in record.inputs] != [item.sha256 for item in inputs]:
        names = ", ".join(item.name for item in record.inputs)
        raise ConfigError(
            f"the run {run} was started with other data ({names}); choose another folder or give --restart"
        )


def clear(run: Path) -> None:
    """Remove what an earlier run left in the folder, and nothing else."""
    for name in (RECORD, SUSPECTS, CHECKPOINT, MODEL):
        (run / name).unlink(missing_ok=True)
