"""A whole evaluation, part by part: what is trained, compared and measured, and in which order."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from monitor.files.spectrum_image import SpectrumImage
from monitor.sim.scene import FIRST_EV, LAST_EV
from training.evaluation.candidate import Candidate
from training.evaluation.comparison import not_ahead
from training.evaluation.method import of_candidate
from training.evaluation.own import own_data
from training.evaluation.paper import paper_experiment, papers_cube
from training.evaluation.plan import Plan
from training.evaluation.quality import calibration_curves, discovery, example, reconstructions
from training.evaluation.results import Comparison, Report
from training.evaluation.roll import PAPER_SHIFTS_EV
from training.evaluation.subspace import robust_pca_is_there
from training.evaluation.sweeps import base_sweeps, recipes, settings_of, standard_scenes, trained_sweeps
from training.evaluation.telling import Teller
from training.evaluation.trainers import Trainers
from training.evaluation.workshop import TEST, Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the user wants judged beside ours, and the clean map of its material by name."""

    candidates: Sequence[Candidate] = field(default_factory=tuple)
    image: SpectrumImage | None = None
    image_name: str = ""


def run_experiment(plan: Plan, given: Given, *, seed: int, silent: bool) -> Report:
    """Run the plan. Trained models live in a temporary folder."""
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="eelswatch-evaluate-") as folder,
        Trainers(Path(folder)) as trainers,
        Teller(stages_of(plan, given), silent=silent) as teller,
    ):
        workshop = Workshop(plan=plan, seed=seed, trainers=trainers, teller=teller)
        base, cube = workshop.usual(), papers_cube(workshop)
        trainers.begin([workshop.recipe(base), workshop.recipe(cube), *recipes(workshop)])
        notes: list[str] = []
        scenes = _standard(workshop, given, notes)
        sweeps = base_sweeps(workshop)
        with teller.stage("calibration curves"):
            calibration = calibration_curves(workshop)
        with teller.stage("false discoveries"):
            discovered = discovery(workshop)
        with teller.stage("reconstruction"):
            rebuilt = reconstructions(workshop)
        paper = paper_experiment(workshop)
        own = _own(workshop, given, notes)
        sweeps += trained_sweeps(workshop)  # last: until then their models are trained beside
        if plan.slow_baselines and not robust_pca_is_there():
            notes.append("ORPCA is left out: HyperSpy is not installed")
        if not plan.slow_baselines:
            notes.append(f"the {plan.name} plan leaves out isolation forest and ORPCA")
        notes += [f"sweep over {sweep.name}: {sweep.why_not}" for sweep in sweeps if sweep.why_not is not None]
        everywhere = {c.title: c for c in [*scenes, *(point for sweep in sweeps for point in sweep.points)]}
        return Report(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - started, 1),
            seed=seed,
            versions={name: _version(name) for name in ("eelswatch", "torch", "numpy", "scikit-learn", "hyperspy")},
            plan=plan,
            notes=notes,
            paper_shifts_ev=list(PAPER_SHIFTS_EV),
            paper=paper,
            scenes=scenes,
            sweeps=sweeps,
            calibration=calibration,
            discovery=discovered,
            reconstruction=rebuilt,
            own=own,
            example=example(workshop),
            not_ahead=not_ahead(list(everywhere.values())),
        )


def stages_of(plan: Plan, given: Given) -> int:
    """How many stages `run_experiment` tells of."""
    # base model and baselines, six scenes, three of quality, three of the paper; two single-pixel shifts are reused
    stages = 2 + 6 + 3 + 3 + len([s for s in plan.shifts_ev if s not in (0.9, 2.4)])
    stages += len([s for s in plan.shares if s != 0.016]) + len(plan.radii_px)
    for further in (settings_of(plan, sweep) for sweep in plan.trained_sweeps):
        stages += 2 * len(further) + 1 if further else 0
    if "dose" in plan.trained_sweeps:
        stages += 3 * len([dose for dose in plan.doses if dose != plan.counts_per_pixel])
    stages += 4 if "material" in plan.trained_sweeps else 0
    stages += 2 if "contaminated" in plan.trained_sweeps else 0
    return stages + (len(given.candidates) if given.image is not None else 0)


def _standard(workshop: Workshop, given: Given, notes: list[str]) -> list[Comparison]:
    """The standard scenes, with the given models where their energy axis is within the simulator's window."""
    methods = list(workshop.methods(workshop.usual()))
    probe = workshop.trials(workshop.usual(), TEST)[0]
    for candidate in given.candidates:
        if probe.on(candidate.energy) is None:
            window = f"{FIRST_EV:g}-{LAST_EV:g} eV"
            notes.append(f"{candidate.name} ({candidate.energy}) is not tried on the standard scenes ({window})")
        else:
            methods.append(of_candidate(candidate, role="given", fit="given"))
            notes.append(
                f"{candidate.name} sees the specimens of the standard scenes on its own energy axis, at the same dose; "
                "what it learned from may be another material"
            )
    return [workshop.compare(scene, methods) for scene in standard_scenes(workshop)]


def _own(workshop: Workshop, given: Given, notes: list[str]) -> list[Comparison]:
    found: list[Comparison] = []
    for candidate in given.candidates:
        if given.image is None:
            notes.append(f"{candidate.name} is not tried on its own data: no --map was given")
            continue
        with workshop.teller.stage(f"{candidate.name} on {given.image_name}"):
            on_map = own_data(
                candidate,
                given.image,
                name=given.image_name,
                shifts_ev=workshop.plan.shifts_ev,
                seed=workshop.number(TEST),
                replicates=workshop.plan.replicates,
            )
        if not on_map:
            notes.append(
                f"{candidate.name} ({candidate.energy}) is not tried on {given.image_name}, which spans "
                f"{given.image.energy}"
            )
        found += on_map
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
