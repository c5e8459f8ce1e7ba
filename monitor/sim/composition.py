"""What lies where: a perovskite film on a perovskite substrate, seen along its columns of atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from monitor.sim import edges
from monitor.sim.edges import FloatArray
from monitor.sim.scene import Scene

UNIT_CELL_NM = 0.3905
INTERFACE_WIDTH_PX = 1.2
INTERFACE_WAVE_PX = 1.0
FILM_EXPONENT, SUBSTRATE_EXPONENT = 2.9, 3.1
METAL = {"ferrite": edges.FE_L, "manganite": edges.MN_L}
"""The film's metal by its material; a manganite is given the oxygen of the ferrite, near enough to it here."""
B_COLUMN_CONTRAST, OXYGEN_CONTRAST, HEAVY_COLUMN_LOSS = 0.20, 0.10, 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One spectral shape (energy,), per eV, and how much of it there is at each pixel (row, column)."""

    name: str
    spectrum: FloatArray
    amount: FloatArray


def film_share(scene: Scene) -> FloatArray:
    """The share of film in each pixel (row, column): 1 in the film, 0 in the substrate, between at the interface."""
    rows, columns = np.indices((scene.rows, scene.columns), dtype=np.float64)
    across, along = (columns, rows) if scene.crosses == "columns" else (rows, columns)
    length = scene.columns if scene.crosses == "columns" else scene.rows
    border = scene.film_share * length + INTERFACE_WAVE_PX * np.sin(2 * np.pi * along / 37.0)
    return 0.5 * erfc((across - border) / (np.sqrt(2) * INTERFACE_WIDTH_PX))


def in_vacuum(scene: Scene) -> NDArray[np.bool_]:
    """Pixels (row, column) before the film begins."""
    vacuum = np.zeros((scene.rows, scene.columns), dtype=bool)
    strip = slice(0, scene.vacuum_px)
    vacuum[(slice(None), strip) if scene.crosses == "columns" else strip] = True
    return vacuum


def composition(scene: Scene, sign: NDArray[np.int8], energies_ev: FloatArray) -> list[Component]:
    """All components of a scene whose defects lie where `sign` (row, column) is not 0."""
    film, defect = film_share(scene), sign != 0
    a_site, b_site, oxygen = _lattice(scene)
    transmitted = 1 - HEAVY_COLUMN_LOSS * (a_site - 1)
    metal_l = METAL[scene.material]
    metal, titanium, present = film * b_site, (1 - film) * b_site, film * oxygen

    def edge(shape: edges.Edge, amount: FloatArray, moved_ev: float = 0.0) -> Component:
        spectrum = shape.spectrum(energies_ev - moved_ev, scene.resolution_ev)
        return Component(name=shape.name, spectrum=spectrum, amount=amount * transmitted)

    def background(exponent: float, amount: FloatArray) -> Component:
        spectrum = edges.power_law(energies_ev, exponent)
        return Component(name=f"background {exponent:g}", spectrum=spectrum, amount=amount * transmitted)

    anomalies = scene.anomalies
    extra: list[Component] = []
    if anomalies is not None and anomalies.kind == "shift":
        shape, of = (edges.TI_L, titanium) if anomalies.in_substrate else (metal_l, metal)
        extra = [edge(shape, of * (sign == way), way * anomalies.shift_ev) for way in (-1, 1)]
        titanium, metal = (titanium * ~defect, metal) if anomalies.in_substrate else (titanium, metal * ~defect)
    elif anomalies is not None and anomalies.kind == "intruder":
        extra = [edge(edges.CR_L, metal * anomalies.strength * defect)]
        metal = metal * (1 - anomalies.strength * defect)
    elif anomalies is not None:
        present = present * (1 - anomalies.strength * defect)
    return [
        background(FILM_EXPONENT, film),
        background(SUBSTRATE_EXPONENT, 1 - film),
        edge(edges.BI_N, film * a_site),
        edge(edges.TI_L, titanium),
        edge(edges.O_K_TITANATE, (1 - film) * oxygen),
        edge(edges.O_K_FERRITE, present),
        edge(metal_l, metal),
        *extra,
    ]


def _lattice(scene: Scene) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Relative signal of A sites, B sites and oxygen at each pixel (row, column), each 1 on average."""
    rows, columns = np.indices((scene.rows, scene.columns), dtype=np.float64)
    turns = 2 * np.pi * scene.pixel_nm / UNIT_CELL_NM
    row_wave, column_wave = np.cos(turns * rows), np.cos(turns * columns)
    a_site = (1 + row_wave) * (1 + column_wave)
    b_site = (1 - row_wave) * (1 - column_wave)
    between = ((1 - row_wave) * (1 + column_wave) + (1 + row_wave) * (1 - column_wave) + b_site) / 3
    return (
        a_site,
        1 + B_COLUMN_CONTRAST * (b_site - 1),
        1 + OXYGEN_CONTRAST * (between - 1),
    )
