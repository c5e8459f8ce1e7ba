"""A model that an evaluation wants trained: from which scan of which specimen, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monitor.sim.scene import Scene
from training.config import TrainConfig
from training.data import TrainingMap, TrainingSet, hold_out
from training.evaluation.trial import Trial
from training.train import train_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """`name` is the model's, and that of its folder; `specimen` the number of the scene's specimen."""

    name: str
    scene: Scene
    specimen: int
    config: TrainConfig

    def make(self, folder: Path) -> Path:
        """Train in a folder inside `folder`, which is given back."""
        counts, config = Trial.of(self.scene, self.specimen).counts, self.config
        shares = config.validation_share, config.calibration_share
        role = hold_out((counts.shape[0], counts.shape[1]), np.random.default_rng(config.seed), shares)
        data = TrainingSet(
            maps=(TrainingMap(counts=counts, role=role),),
            energy=self.scene.energy,
            title="simulated",
            inputs=(),
            notes=(),
        )
        train_run(folder / self.name, data, config)
        return folder / self.name
