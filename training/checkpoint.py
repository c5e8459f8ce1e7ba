"""A training run's state on disk, whole or not at all, read back without pickled code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from monitor.core.errors import ModelError
from monitor.files.atomic import replacing


@dataclass(slots=True, kw_only=True)
class Checkpoint:
    """Where the loop stands: `stale` counts validations since the best one, whose weights are kept."""

    step: int
    best: float
    stale: int
    history: list[Any]
    best_weights: dict[str, Tensor]


def save_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers and lists of them. Raises DataError where the place cannot be written to."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def load_tensors(path: Path) -> dict[str, Any]:
    """Read what `save_tensors` wrote, onto the CPU. Raises ModelError where the file is not that."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # a damaged archive fails in every way there is
        raise ModelError(
            f"{path} is not a whole file of weights ({type(fault).__name__}); train with --restart"
        ) from fault


def write_checkpoint(
    path: Path,
    state: Checkpoint,
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    plan: torch.optim.lr_scheduler.LRScheduler,
    dice: torch.Generator,
) -> None:
    """Write everything that a run needs to go on as if nothing had happened."""
    save_tensors(
        path,
        {
            "step": state.step,
            "best": state.best,
            "stale": state.stale,
            "history": [msgspec.to_builtins(item) for item in state.history],
            "best_weights": state.best_weights,
            "weights": net.state_dict(),
            "optimiser": optimiser.state_dict(),
            "plan": {
                key: value for key, value in plan.state_dict().items() if isinstance(value, int | float | bool | list)
            },
            "dice": dice.get_state(),
        },
    )


def read_checkpoint(
    path: Path,
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    plan: torch.optim.lr_scheduler.LRScheduler,
    dice: torch.Generator,
    *,
    history_type: type[msgspec.Struct],
) -> Checkpoint:
    """Put a written state back into network, optimiser, plan and dice. Raises ModelError where it does not fit."""
    content = load_tensors(path)
    try:
        net.load_state_dict(content["weights"])
        optimiser.load_state_dict(content["optimiser"])
        plan.load_state_dict(content["plan"])
        dice.set_state(content["dice"])
        return Checkpoint(
            step=content["step"],
            best=content["best"],
            stale=content["stale"],
            history=msgspec.convert(content["history"], list[history_type]),
            best_weights=content["best_weights"],
        )
    except (KeyError, RuntimeError, ValueError, msgspec.ValidationError) as fault:
        raise ModelError(f"{path} is of another network ({type(fault).__name__}); train with --restart") from fault
