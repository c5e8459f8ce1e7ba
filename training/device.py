"""What the training runs on."""

from __future__ import annotations

import os

import torch

from monitor.core.cores import allowed_cores
from monitor.core.errors import ConfigError


def pick_device(wanted: str) -> torch.device:
    """CUDA where it is asked for or there. Raises ConfigError where it is asked for and not there."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ConfigError("device=cuda, but torch finds no CUDA device; give device=cpu or install torch for this GPU")
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def available_cores() -> int:
    """Cores this process may run on, fewer where OMP_NUM_THREADS says so."""
    cores = allowed_cores()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdigit() and int(asked) > 0 else cores
