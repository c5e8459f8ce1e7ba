"""A specimen under the beam: what each pixel is made of, and the counts that a scan of it gives.

One specimen can be scanned again and again: its defects and thickness stay, noise and drift are new each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from monitor.core.axes import Region, ScanGrid
from monitor.core.errors import ConfigError
from monitor.sim.anomalies import place
from monitor.sim.composition import composition, film_share, in_vacuum
from monitor.sim.edges import FloatArray, with_plasmons
from monitor.sim.scene import Scene

FINE_STEP_EV = 0.05
MARGIN_EV = 200.0
"""The fine grid begins this far below the window, so that plasmon losses can enter from there."""
MEAN_THICKNESS = 0.6
VACUUM_THICKNESS = 0.004
"""Both in inelastic mean free paths; a little contamination and beam tail makes vacuum not quite dark."""
THICKNESS_SMOOTH_PX = 12.0
DRIFT_SMOOTH_ROWS = 4.0
JUMP_CHANCE = 1 / 24
IN_FILM = 0.98
THICKNESS_STREAM, DEFECT_STREAM = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSpecimen:
    """A built scene: `truth` (row, column) marks anomalous pixels.

    `weights` (row, column, component) multiply `cumulative` (component, fine energy): electrons below `fine_ev`.
    """

    scene: Scene
    truth: NDArray[np.bool_]
    weights: FloatArray
    fine_ev: FloatArray
    cumulative: FloatArray

    @staticmethod
    def build(scene: Scene, seed: int, *, sign: NDArray[np.int8] | None = None) -> SimulatedSpecimen:
        """The specimen number `seed` of a scene. With and without its anomalies all else is equal.

        `sign` (row, column) of -1, 0 and 1 puts the defects there instead of where chance would.
        """
        shape = (scene.rows, scene.columns)
        vacuum = in_vacuum(scene)
        thickness = _thickness(scene, np.random.default_rng([seed, THICKNESS_STREAM]))
        thickness[vacuum] = VACUUM_THICKNESS
        normal = np.zeros(shape, dtype=np.int8)
        fine_ev = np.arange(scene.energy.lo_ev - MARGIN_EV, scene.energy.hi_ev + MARGIN_EV / 4, FINE_STEP_EV)
        weights, cumulative = _table(scene.without_anomalies(), normal, thickness, fine_ev)
        # Scaled without the defects, so that a defect changes its own pixels alone.
        inside = _cumulative_at(fine_ev, cumulative, np.array([scene.energy.lo_ev, scene.energy.hi_ev]))
        bright = weights[~vacuum] if not vacuum.all() else weights.reshape(-1, weights.shape[-1])
        scale = scene.counts_per_pixel / (bright @ np.diff(inside)[:, 0]).mean()
        if scene.anomalies is None:
            sign = normal
        else:
            if sign is None:
                sign = place(scene.anomalies, where_defects_may_be(scene), np.random.default_rng([seed, DEFECT_STREAM]))
            weights, cumulative = _table(scene, sign, thickness, fine_ev)
        weights *= scale
        return SimulatedSpecimen(scene=scene, truth=sign != 0, weights=weights, fine_ev=fine_ev, cumulative=cumulative)

    @property
    def whole(self) -> Region:
        """All of the specimen."""
        return Region(row0=0, col0=0, row1=self.scene.rows, col1=self.scene.columns)

    def expected_row(self, row: int, columns: slice = slice(None), *, drift_ev: float = 0.0) -> FloatArray:
        """Electrons expected in a row: (column, energy), the spectrum standing `drift_ev` too high."""
        energy = self.scene.energy
        borders = energy.at(np.arange(energy.size + 1) - 0.5) - drift_ev
        per_channel = np.diff(_cumulative_at(self.fine_ev, self.cumulative, borders)) * np.sign(energy.step_ev)
        return np.maximum(self.weights[row, columns] @ per_channel, 0.0)

    def rows(self, region: Region, dwell_factor: float, rng: np.random.Generator) -> Iterator[NDArray]:
        """Scan `region` row by row: counts (column, energy) in one dtype. New noise and new drift each time.

        Raises ConfigError where the region leaves the specimen or `dwell_factor` is not above 0.
        """
        if not ScanGrid(rows=self.scene.rows, columns=self.scene.columns).holds(region) or not dwell_factor > 0:
            raise ConfigError(
                f"cannot scan {region.as_list()} for {dwell_factor:g} times the dwell; wanted a region inside "
                f"{self.scene.rows} x {self.scene.columns} pixels and a factor above 0"
            )
        return self._rows(region, dwell_factor, rng)

    def acquire(self, region: Region, dwell_factor: float, rng: np.random.Generator) -> NDArray:
        """Scan `region`: counts (row, column, energy). Raises as `rows`."""
        counts: NDArray | None = None
        for place_in_region, row in enumerate(self.rows(region, dwell_factor, rng)):
            if counts is None:
                counts = np.empty((region.shape[0], *row.shape), dtype=row.dtype)
            counts[place_in_region] = row
        assert counts is not None, "a region that was accepted has a row"
        return counts

    def dtype(self, dwell_factor: float) -> np.dtype:
        """The type of the counts at `dwell_factor` times the dwell."""
        brightest = np.unravel_index(np.argmax(self.weights.sum(axis=-1)), self.truth.shape)
        return self.scene.camera.dtype_for(float(self.expected_row(int(brightest[0])).max()) * 1.5 * dwell_factor)

    def _rows(self, region: Region, dwell_factor: float, rng: np.random.Generator) -> Iterator[NDArray]:
        drift_ev = row_drift(self.scene, rng)
        dtype = self.dtype(dwell_factor)
        for row in range(region.row0, region.row1):
            expected = self.expected_row(row, slice(region.col0, region.col1), drift_ev=float(drift_ev[row]))
            yield self.scene.camera.record(expected * dwell_factor, rng).astype(dtype)


def where_defects_may_be(scene: Scene) -> NDArray[np.bool_]:
    """Pixels (row, column) that are nearly all film, or nearly all substrate where its anomalies are of that."""
    film = film_share(scene)
    share = 1 - film if scene.anomalies is not None and scene.anomalies.in_substrate else film
    return (share > IN_FILM) & ~in_vacuum(scene)


def _table(
    scene: Scene, sign: NDArray[np.int8], thickness: FloatArray, fine_ev: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weights (row, column, component) and cumulative spectra (component, fine energy); each component thrice."""
    single = thickness * np.exp(-thickness)
    orders = np.stack([single, single * thickness, single * thickness**2 / 2], axis=-1)
    components = composition(scene, sign, fine_ev)
    weights = np.concatenate([component.amount[..., None] * orders for component in components], axis=-1)
    spectra = np.concatenate([with_plasmons(component.spectrum, FINE_STEP_EV) for component in components])
    return weights, np.cumsum(spectra, axis=-1) * FINE_STEP_EV


def _cumulative_at(fine_ev: FloatArray, cumulative: FloatArray, energies_ev: FloatArray) -> FloatArray:
    """`cumulative` at `energies_ev`: (component, energy)."""
    # A sample stands for the interval around it, so its running sum is reached half a step later.
    index = (energies_ev - fine_ev[0]) / FINE_STEP_EV - 0.5
    low = np.clip(np.floor(index).astype(np.int64), 0, fine_ev.size - 2)
    share = index - low
    return cumulative[:, low] * (1 - share) + cumulative[:, low + 1] * share


def _thickness(scene: Scene, rng: np.random.Generator) -> FloatArray:
    """Inelastic mean free paths at each pixel (row, column): a smooth field."""
    field = gaussian_filter(rng.standard_normal((scene.rows, scene.columns)), THICKNESS_SMOOTH_PX, mode="reflect")
    spread = field.std()
    relative = scene.thickness_variation * (field - field.mean()) / spread if spread > 0 else np.zeros_like(field)
    return MEAN_THICKNESS * np.exp(relative)


def row_drift(scene: Scene, rng: np.random.Generator) -> FloatArray:
    """The energy drift of each row in eV: a smoothed random walk with the scene's rms, and its jumps."""
    walk = gaussian_filter1d(np.cumsum(rng.standard_normal(scene.rows)), DRIFT_SMOOTH_ROWS, mode="nearest")
    walk -= walk.mean()
    rms = np.sqrt(np.mean(walk**2))
    drift_ev = scene.drift_ev * walk / rms if rms > 0 else np.zeros(scene.rows)
    if scene.drift_jump_ev > 0:  # no draw without jumps: a seed goes on giving the counts it gave
        way = rng.choice([-1.0, 0.0, 1.0], size=scene.rows, p=[JUMP_CHANCE / 2, 1 - JUMP_CHANCE, JUMP_CHANCE / 2])
        jumps = scene.drift_jump_ev * np.cumsum(way)
        drift_ev += jumps - jumps.mean()
    return drift_ev
