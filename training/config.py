"""What a training run may be told: one frozen model, unknown keys refused, read once at the edge."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitor.core.errors import ConfigError, UsageError


class TrainConfig(BaseModel):
    """Settings of one training run; every field may be given in a TOML file or as `key=value`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: Annotated[int, Field(ge=0, le=2**31, description="of weights, crops and held-out blocks")] = 0
    energy: Annotated[str | None, Field(description="window LO:HI in eV; the whole axis where not given")] = None
    region: Annotated[str | None, Field(description="pixels R0:R1,C0:C1, half-open; the whole map where not given")] = (
        None
    )
    steps: Annotated[int, Field(ge=1, le=1_000_000, description="optimiser steps")] = 700
    batch: Annotated[int, Field(ge=1, le=1024, description="crops a step")] = 4
    crop_rows: Annotated[int, Field(ge=1, le=512, description="pixels")] = 12
    crop_columns: Annotated[int, Field(ge=1, le=4096, description="pixels")] = 32
    learning_rate: Annotated[float, Field(gt=0, le=1, description="largest of the one-cycle plan")] = 4e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    beta: Annotated[float, Field(ge=0, le=1e6, description="weight of the KL term")] = 1.0
    loss: Annotated[
        Literal["elbo", "ce", "mse"],
        Field(description="beta KL added to likelihood (elbo), cross-entropy (ce) or squared error (mse)"),
    ] = "elbo"
    model: Annotated[Literal["cvae", "paper"], Field(description="the network: ours, or the paper's")] = "cvae"
    latent: Annotated[int, Field(ge=1, le=256, description="latent variables a pixel")] = 8
    width: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            description="features of the first layer, which those of all others follow; model=paper has its published "
            "32-64-128-256 at 32, which two CPU cores are too slow for",
        ),
    ] = 8
    coarse_limit: Annotated[int, Field(ge=16, le=4096, description="most channels worked on inside the network")] = 512
    calibration_share: Annotated[float, Field(gt=0, le=0.5, description="of the pixels, held out")] = 0.2
    validation_share: Annotated[float, Field(gt=0, le=0.5, description="of the pixels, held out")] = 0.06
    validate_every: Annotated[int, Field(ge=1, description="steps")] = 50
    patience: Annotated[int, Field(ge=1, description="validations without a better loss before it stops early")] = 8
    checkpoint_s: Annotated[float, Field(gt=0, description="seconds between checkpoints")] = 5.0
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto takes CUDA where there is one")] = "auto"


def read_config(file: Path | None, overrides: Sequence[str], *, options: dict[str, int | str | None]) -> TrainConfig:
    """Settings from a TOML file, then `key=value` texts, then the command line's own options (None: not given).

    Raises ConfigError for a file that cannot be read, UsageError for a setting that is not understood.
    """
    values: dict[str, object] = {}
    if file is not None:
        try:
            values.update(tomllib.loads(file.read_text()))
        except (OSError, UnicodeDecodeError) as fault:
            raise ConfigError(
                f"{file} cannot be read ({getattr(fault, 'strerror', None) or 'not text'}); give a TOML file"
            ) from fault
        except tomllib.TOMLDecodeError as fault:
            raise ConfigError(f"{file} is no TOML ({_one_line(str(fault))}); write one 'key = value' a line") from fault
    for text in overrides:
        key, _, value = text.partition("=")
        values[key.strip()] = value.strip()
    values.update({key: value for key, value in options.items() if value is not None})
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(TrainConfig.model_fields)
            raise UsageError(f"there is no setting '{_one_line(key)}'; the settings are {known}") from fault
        raise UsageError(f"setting {key}: got {_one_line(repr(first['input']))}; {_one_line(first['msg'])}") from fault


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
