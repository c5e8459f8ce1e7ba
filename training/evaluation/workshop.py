"""Scenes, trained models and fitted baselines of one evaluation; each model is trained once and used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from monitor.sim.anomalies import Anomalies
from monitor.sim.scene import Scene, window_of
from training.evaluation.baselines import baselines
from training.evaluation.candidate import Candidate, open_candidate
from training.evaluation.comparison import compare
from training.evaluation.method import LIMIT, Method, fitted_clean, fitted_there, of_candidate
from training.evaluation.plan import Plan
from training.evaluation.recipe import Recipe
from training.evaluation.results import Comparison
from training.evaluation.telling import Teller
from training.evaluation.trainers import Trainers
from training.evaluation.trial import Trial

OURS = "3D-CVAE"
TRAIN, CALIBRATE, TEST, CLEAN, PAPER = 1, 2, 10, 50, 80
"""Specimens are numbered so that none is trained on and judged by chance."""


class Workshop:
    """Makes what the parts of an evaluation share. `seed` picks the specimens, `trainers` train the models."""

    def __init__(self, *, plan: Plan, seed: int, trainers: Trainers, teller: Teller) -> None:
        self.plan = plan
        self.teller = teller
        self.given: list[Method] = []
        self._seed = seed
        self._trainers = trainers
        self._candidates: dict[str, Candidate] = {}
        self._methods: dict[str, list[Method]] = {}
        self._compared: dict[str, Comparison] = {}

    def number(self, kind: int, replicate: int = 0) -> int:
        """The specimen's number."""
        return 1000 * self._seed + kind + replicate

    def scene(self, name: str, anomalies: Anomalies | None = None, **changes: Any) -> Scene:
        """A scene of the plan's size."""
        plan = self.plan
        usual = Scene(
            name=name,
            rows=plan.rows,
            columns=plan.columns,
            energy=window_of(plan.channels),
            counts_per_pixel=plan.counts_per_pixel,
        )
        return replace(usual, anomalies=anomalies, **changes)

    def trials(self, scene: Scene, kind: int = TEST) -> list[Trial]:
        """A scan of each replicate."""
        return [Trial.of(scene, self.number(kind, i)) for i in range(self.plan.replicates)]

    def recipe(self, clean: Scene, **settings: Any) -> Recipe:
        """How the model of a clean scene is trained, with these settings."""
        return Recipe(
            name="-".join([clean.name, *(f"{key}={value}" for key, value in settings.items())]),
            scene=clean,
            specimen=self.number(TRAIN),
            config=self.plan.settings(seed=self._seed, **settings),
        )

    def candidate(self, recipe: Recipe) -> Candidate:
        """The model trained by `recipe`, waited for."""
        if recipe.name not in self._candidates:
            with self.teller.stage(f"train {recipe.name}"):
                self._candidates[recipe.name] = open_candidate(self._trainers.trained(recipe))
        return self._candidates[recipe.name]

    def trained_on(self, clean: Scene, **settings: Any) -> Candidate:
        """The model of a clean scene."""
        return self.candidate(self.recipe(clean, **settings))

    def usual(self) -> Scene:
        """The clean scene that the base model learns from."""
        return self.scene("base")

    def methods(self, clean: Scene) -> list[Method]:
        """Ours and all baselines, trained and fitted on the same clean scene; the latter also on each map itself."""
        if clean.name not in self._methods:
            ours = self.trained_on(clean)
            seen, further = (Trial.of(clean, self.number(kind)).counts for kind in (TRAIN, CALIBRATE))
            with self.teller.stage(f"fit the baselines to {clean.name}"):
                others = baselines(slow=self.plan.slow_baselines)
                self._methods[clean.name] = [
                    self.ours(ours),
                    *(fitted_clean(each, seen, further) for each in others),
                    *(fitted_there(each) for each in others),
                    LIMIT,
                ]
        return self._methods[clean.name]

    def ours(self, candidate: Candidate, *, fit: str = "trained on a clean map") -> Method:
        """Our model as a method of the table."""
        return replace(of_candidate(candidate, role="ours", fit=fit), name=OURS)

    def compare(self, scene: Scene, methods: Sequence[Method]) -> Comparison:
        """Methods on all replicates of a scene, called by its name; a scene that was compared before is not again."""
        if scene.name not in self._compared:
            with self.teller.stage(f"compare on {scene.name}"):
                self._compared[scene.name] = compare(scene.name, self.trials(scene), methods)
        return self._compared[scene.name]
