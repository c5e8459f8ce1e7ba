"""What there is to simulate: named scenes of a BiFeO3-like film on SrTiO3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from monitor.core.axes import EnergyAxis
from monitor.core.errors import UsageError
from monitor.sim.anomalies import Anomalies
from monitor.sim.camera import CAMERAS, Camera

FIRST_EV, LAST_EV = 420.0, 820.0
MOST_COUNTS = 1e12
MOST_DRIFT_EV = 10.0
EDGE_OF = {"ferrite": "Fe L", "manganite": "Mn L"}
"""The edge of the film's metal."""


def window_of(channels: int) -> EnergyAxis:
    """420 to 820 eV in `channels` channels, edge to edge."""
    step_ev = (LAST_EV - FIRST_EV) / channels
    return EnergyAxis(offset_ev=FIRST_EV + step_ev / 2, step_ev=step_ev, size=channels)


DEFAULT_WINDOW = window_of(500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A specimen and how it is scanned.

    `counts_per_pixel`: mean electrons per spectrum on the material. `drift_ev`: rms of the rows' energy drift;
    `drift_jump_ev`: how far it also jumps, up or down, at about one row in 24. `material`: of the film.
    `thickness_variation`: its relative standard deviation. `crosses`: the scan axis along which film turns into
    substrate; the film takes the share `film_share` of it, after `vacuum_px` pixels of vacuum.
    """

    name: str
    rows: int = 96
    columns: int = 96
    energy: EnergyAxis = DEFAULT_WINDOW
    counts_per_pixel: float = 1e5
    drift_ev: float = 0.1
    drift_jump_ev: float = 0.0
    thickness_variation: float = 0.08
    material: Literal["ferrite", "manganite"] = "ferrite"
    crosses: Literal["columns", "rows"] = "columns"
    film_share: float = 0.7
    vacuum_px: int = 0
    pixel_nm: float = 0.1
    resolution_ev: float = 0.9
    beam_kev: float = 200.0
    dwell_us: float = 2000.0
    camera: Camera = CAMERAS["counted"]
    anomalies: Anomalies | None = None

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 1 or self.energy.size < 2:
            raise UsageError(
                f"a scene of {self.rows} x {self.columns} pixels and {self.energy.size} channels is empty; "
                "wanted at least one row, one column and two channels"
            )
        for what, value, lowest, highest in (
            ("counts per pixel", self.counts_per_pixel, 1.0, MOST_COUNTS),
            ("drift in eV", self.drift_ev, 0.0, MOST_DRIFT_EV),
            ("jump of the drift in eV", self.drift_jump_ev, 0.0, MOST_DRIFT_EV),
            ("thickness variation", self.thickness_variation, 0.0, 1.0),
        ):
            if not lowest <= value <= highest:
                raise UsageError(f"{what} is {value:g}; wanted {lowest:g} to {highest:g}")
        a = self.anomalies
        there = (EDGE_OF[self.material], "Ti L")
        if a is not None and a.kind == "shift" and a.edge not in there:
            raise UsageError(f"there is no {a.edge} edge in a {self.material} on titanate; wanted {' or '.join(there)}")

    def without_anomalies(self) -> Scene:
        """The same specimen, defect-free: with the same seed all else is equal."""
        name = self.name if self.anomalies is None else f"{self.name}_clean"
        return replace(self, name=name, anomalies=None)


DISCS = Anomalies(kind="shift", discs=8)

_WITH_ANOMALIES = (
    Scene(name="film", anomalies=DISCS),
    Scene(name="pixels", anomalies=Anomalies(kind="shift", pixel_share=0.016)),
    Scene(name="intruder", anomalies=Anomalies(kind="intruder", discs=8)),
    Scene(name="oxygen", anomalies=Anomalies(kind="oxygen", strength=0.12, discs=8)),
    Scene(name="drift", drift_ev=0.4, anomalies=DISCS),
    Scene(name="vacuum", vacuum_px=10, anomalies=DISCS),
    Scene(
        name="demo",
        rows=64,
        columns=64,
        energy=window_of(240),
        counts_per_pixel=2e5,
        anomalies=Anomalies(kind="shift", discs=5, radius_px=(2, 3)),
    ),
)

SCENES: Mapping[str, Scene] = MappingProxyType(
    {scene.name: scene for scene in _WITH_ANOMALIES}
    | {"clean": replace(_WITH_ANOMALIES[0], name="clean", anomalies=None)}
    | {scene.without_anomalies().name: scene.without_anomalies() for scene in _WITH_ANOMALIES}
)
"""Every scene by name; each one with anomalies has a counterpart NAME_clean."""


def scene_named(name: str) -> Scene:
    """The scene called `name`; raises UsageError where there is none."""
    if name not in SCENES:
        raise UsageError(f"there is no scene '{name}'; choose one of {', '.join(SCENES)}")
    return SCENES[name]
