"""One thing varied at a time: shift, concentration, dose, latent size, loss, network, material, training map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from monitor.sim.anomalies import Anomalies
from monitor.sim.scene import Scene
from training.evaluation.comparison import compare
from training.evaluation.method import LIMIT, ON_ITSELF, Method
from training.evaluation.plan import Plan
from training.evaluation.recipe import Recipe
from training.evaluation.results import Comparison, Sweep
from training.evaluation.trial import Trial
from training.evaluation.workshop import CLEAN, Workshop

PIXELS = Anomalies(kind="shift", pixel_share=0.016)
DISCS = Anomalies(kind="shift", discs=8)
PIXELS_A_DISC = 15.0
"""Of radius 1 to 3, on average."""
CONTAMINATED = 0.04
LEFT_OUT = "left out of the {} plan"


def pixels_moved(workshop: Workshop, shift_ev: float) -> Scene:
    """Single pixels whose Fe L has moved."""
    return workshop.scene(f"single pixels, 1.6 %, Fe L moved {shift_ev:g} eV", replace(PIXELS, shift_ev=shift_ev))


def standard_scenes(workshop: Workshop) -> list[Scene]:
    """What every method, and every given model, is tried on."""
    return [
        workshop.scene("discs, Fe L moved 2.4 eV", DISCS),
        pixels_moved(workshop, 2.4),
        pixels_moved(workshop, 0.9),
        workshop.scene("discs, Cr for a quarter of the Fe", replace(DISCS, kind="intruder")),
        workshop.scene("discs, 12 % of the O missing", replace(DISCS, kind="oxygen", strength=0.12)),
        workshop.scene("discs, with drift of 0.4 eV that jumps 0.5 eV", DISCS, drift_ev=0.4, drift_jump_ev=0.5),
    ]


def base_sweeps(workshop: Workshop) -> list[Sweep]:
    """The sweeps that the base model goes through alone."""
    base = _base(workshop)
    shift = [workshop.compare(pixels_moved(workshop, shift_ev), base) for shift_ev in workshop.plan.shifts_ev]
    return [Sweep(name="shift", points=shift), Sweep(name="concentration", points=_concentration(workshop))]


def trained_sweeps(workshop: Workshop) -> list[Sweep]:
    """Those that want further models, with a reason for each one that was left out."""
    trained = {
        "dose": _dose,
        "latent": lambda w: _settings(w, "latent"),
        "loss": lambda w: _settings(w, "loss"),
        "network": lambda w: _settings(w, "network"),
        "material": _material,
        "contaminated": _contaminated,
    }
    sweeps = []
    for name, points in trained.items():
        if name not in workshop.plan.trained_sweeps:
            sweeps.append(Sweep(name=name, why_not=LEFT_OUT.format(workshop.plan.name)))
        else:
            sweeps.append(Sweep(name=name, points=points(workshop)))
    return sweeps


def recipes(workshop: Workshop) -> list[Recipe]:
    """Every further model that the sweeps of the plan want: the one trained twice first, then as they want them."""
    usual, plan = workshop.usual(), workshop.plan
    found: list[Recipe] = []
    if "contaminated" in plan.trained_sweeps:
        found.append(_contaminating(workshop))
    if "dose" in plan.trained_sweeps:
        others = [dose for dose in plan.doses if dose != plan.counts_per_pixel]
        found += [workshop.recipe(_clean_at(workshop, dose)) for dose in others]
    found += [workshop.recipe(usual, **each) for sweep in plan.trained_sweeps for each in settings_of(plan, sweep)]
    if "material" in plan.trained_sweeps:
        found.append(workshop.recipe(_manganite(workshop)))
    return found


def _concentration(workshop: Workshop) -> list[Comparison]:
    base = _base(workshop)
    scenes = [
        workshop.scene(f"single pixels, {share * 100:g} %, Fe L moved 2.4 eV", replace(PIXELS, pixel_share=share))
        if share != PIXELS.pixel_share
        else pixels_moved(workshop, 2.4)
        for share in workshop.plan.shares
    ]
    scenes += [
        workshop.scene(f"8 discs of radius {radius}, Fe L moved 2.4 eV", replace(DISCS, radius_px=(radius, radius)))
        for radius in workshop.plan.radii_px
    ]
    return [workshop.compare(scene, base) for scene in scenes]


def _dose(workshop: Workshop) -> list[Comparison]:
    """Each dose with models of its own."""
    points = []
    for dose in workshop.plan.doses:
        if dose == workshop.plan.counts_per_pixel:
            points.append(_renamed(workshop.compare(pixels_moved(workshop, 2.4), _base(workshop)), dose))
            continue
        scene = replace(pixels_moved(workshop, 2.4), name=_at_dose(dose), counts_per_pixel=dose)
        points.append(workshop.compare(scene, _quick_ones(workshop.methods(_clean_at(workshop, dose)))))
    return points


def _clean_at(workshop: Workshop, dose: float) -> Scene:
    return workshop.scene(f"{dose:g} counts", counts_per_pixel=dose)


def _base(workshop: Workshop) -> list[Method]:
    return _quick_ones(workshop.methods(workshop.usual()))


def _quick_ones(methods: Sequence[Method]) -> list[Method]:
    return [method for method in methods if not method.slow]


def _at_dose(dose: float) -> str:
    return f"{dose:g} counts per pixel, single pixels moved 2.4 eV"


def _renamed(comparison: Comparison, dose: float) -> Comparison:
    return msgspec.structs.replace(comparison, title=_at_dose(dose))


def settings_of(plan: Plan, sweep: str) -> list[dict[str, Any]]:
    """What each further model of a sweep over settings is trained with; none for another sweep."""
    if sweep == "latent":
        return [{"latent": latent} for latent in plan.latents if latent != plan.settings().latent]
    if sweep == "loss":
        return [{"loss": loss} for loss in ("ce", "mse")]
    if sweep == "network":
        return [{"model": "paper", "width": plan.paper_width, "steps": plan.paper_steps}]
    return []


def _settings(workshop: Workshop, sweep: str) -> list[Comparison]:
    """Ours alone, as it is by default and with the settings of a sweep, on single pixels and the same specimens."""
    trials = workshop.trials(pixels_moved(workshop, 2.4))
    further = settings_of(workshop.plan, sweep)
    default = workshop.plan.settings()
    usual = {key: getattr(default, key) for changed in further for key in changed}
    points = []
    for changed in [{}, *further]:
        said = ", ".join(f"{name}={value}" for name, value in (changed or usual).items())
        ours = workshop.ours(workshop.trained_on(workshop.usual(), **changed), fit=said)
        with workshop.teller.stage(f"compare {said}"):
            points.append(compare(f"{said}, single pixels moved 2.4 eV", trials, [ours]))
    return points


def _material(workshop: Workshop) -> list[Comparison]:
    base = _base(workshop)
    titanium = workshop.scene("single pixels of the titanate, Ti L moved 2.4 eV", replace(PIXELS, edge="Ti L"))
    manganese = workshop.scene(
        "single pixels of a manganite, Mn L moved 2.4 eV", replace(PIXELS, edge="Mn L"), material="manganite"
    )
    manganite = _quick_ones(workshop.methods(_manganite(workshop)))
    return [
        workshop.compare(pixels_moved(workshop, 2.4), base),
        workshop.compare(titanium, base),
        workshop.compare(manganese, manganite),
    ]


def _manganite(workshop: Workshop) -> Scene:
    return workshop.scene("manganite", material="manganite")


def _contaminating(workshop: Workshop) -> Recipe:
    """The model of a map with discs, trained on that very map."""
    film = workshop.usual().film_share * workshop.plan.rows * workshop.plan.columns
    many = replace(DISCS, discs=max(round(CONTAMINATED * film / PIXELS_A_DISC), 1))
    scene = workshop.scene("one map with discs, 4 % of the film, judged by those who learned from it", many)
    return replace(workshop.recipe(scene), name="contaminated", specimen=workshop.number(CLEAN, 9))


def _contaminated(workshop: Workshop) -> list[Comparison]:
    """Ours and the baselines, each having learned from the very map it judges; one map, the paper's claim."""
    recipe = _contaminating(workshop)
    scene = recipe.scene
    trial = Trial.of(scene, recipe.specimen)
    there = workshop.candidate(recipe)
    base = workshop.methods(workshop.usual())
    itself = [method for method in base if method.fit == ON_ITSELF]
    with workshop.teller.stage("compare on the contaminated map"):
        return [
            compare(scene.name, [trial], [workshop.ours(there, fit="trained on the map itself"), *itself, LIMIT]),
            compare(
                "the same map, judged by those who learned from a clean one",
                [trial],
                [method for method in base if method not in itself],
            ),
        ]
