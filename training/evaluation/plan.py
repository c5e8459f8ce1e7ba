"""How large an evaluation is: maps, replicates, trainings. The figures of a report are worth what its plan was."""

from __future__ import annotations

from typing import Any

import msgspec

from training.config import TrainConfig


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of one evaluation. `steps` is None where the training's own default holds.

    `replicates`: specimens that each comparison is repeated on. `trained_sweeps`: those that train further models.
    `paper_width` and `paper_steps`: of the paper's network, whose published width of 32 takes ten seconds a step.
    """

    name: str
    rows: int = 96
    columns: int = 96
    channels: int = 240
    counts_per_pixel: float = 1e5
    steps: int | None = None
    replicates: int = 3
    shifts_ev: tuple[float, ...] = (0.9, 2.4, 3.9, 5.4)
    shares: tuple[float, ...] = (0.004, 0.016, 0.04)
    radii_px: tuple[int, ...] = (1, 3)
    doses: tuple[float, ...] = (2e4, 1e5, 1e6)
    latents: tuple[int, ...] = (24,)
    trained_sweeps: tuple[str, ...] = ("dose", "latent", "loss", "network", "material", "contaminated")
    paper_width: int = 4
    paper_steps: int = 300
    paper_size: int = 96
    paper_channels: int = 1340
    paper_counts: float = 5e5
    slow_baselines: bool = True

    def settings(self, **changes: Any) -> TrainConfig:
        """What a model is trained with."""
        fewer = {} if self.steps is None else {"steps": self.steps}
        return TrainConfig.model_validate(fewer | changes)


STANDARD = Plan(name="standard")
QUICK = Plan(
    name="quick",
    rows=64,
    columns=64,
    channels=160,
    steps=200,
    replicates=2,
    shifts_ev=(0.9, 2.4, 5.4),
    shares=(0.016, 0.04),
    radii_px=(1, 3),
    trained_sweeps=(),
    paper_size=64,
    slow_baselines=False,
)
