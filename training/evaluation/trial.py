"""One map to be judged, with the truth: a scan of a simulated specimen, or a real map that something was put into."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis
from monitor.core.resampling import resampler
from monitor.sim.scene import FIRST_EV, LAST_EV, Scene
from monitor.sim.specimen import SimulatedSpecimen, row_drift, where_defects_may_be

NOISE_STREAM = 41


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """`counts` (row, column, energy) float32 and `truth` (row, column); `seed` and `specimen` where it is simulated."""

    counts: NDArray[np.float32]
    truth: NDArray[np.bool_]
    energy: EnergyAxis
    seed: int = 0
    specimen: SimulatedSpecimen | None = None

    @staticmethod
    def of(scene: Scene, seed: int) -> Trial:
        """Specimen number `seed` of `scene`, scanned once."""
        specimen = SimulatedSpecimen.build(scene, seed)
        return Trial(
            counts=_scanned(specimen, seed), truth=specimen.truth, energy=scene.energy, seed=seed, specimen=specimen
        )

    def on(self, axis: EnergyAxis) -> NDArray[np.float32] | None:
        """The counts on another axis, None where they do not reach so far.

        A simulated specimen is scanned there at the same dose; a real map is resampled.
        """
        if self.specimen is None:
            resample = resampler(self.energy, axis)
            return None if resample is None else resample(self.counts)
        if axis.lo_ev < FIRST_EV - abs(axis.step_ev) or axis.hi_ev > LAST_EV + abs(axis.step_ev):
            return None
        return _scanned(replace(self.specimen, scene=replace(self.specimen.scene, energy=axis)), self.seed)

    def expectation(self, sign: int) -> NDArray[np.float32]:
        """Electrons expected (row, column, energy) in this very scan, its drift included.

        `sign` 0: of a specimen without defects; 1 or -1: with its defect in every pixel where one may be.
        """
        assert self.specimen is not None, "only a simulated specimen is known so well"
        scene = self.specimen.scene
        everywhere = np.where(where_defects_may_be(scene), np.int8(sign), np.int8(0))
        specimen = SimulatedSpecimen.build(scene if sign else scene.without_anomalies(), self.seed, sign=everywhere)
        return _expected(specimen, self.seed)


def _dice(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, NOISE_STREAM])


def _scanned(specimen: SimulatedSpecimen, seed: int) -> NDArray[np.float32]:
    return specimen.acquire(specimen.whole, 1.0, _dice(seed)).astype(np.float32)


def _expected(specimen: SimulatedSpecimen, seed: int) -> NDArray[np.float32]:
    drift_ev = row_drift(specimen.scene, _dice(seed))  # the first draw of a scan, so the same as in _scanned
    rows = range(specimen.scene.rows)
    return np.stack([specimen.expected_row(r, drift_ev=float(drift_ev[r])).astype(np.float32) for r in rows])


def likelihood_ratio(trial: Trial) -> NDArray[np.float64]:
    """The limit of all methods: log likelihood ratio (row, column) of each pixel, told expectation, edge and shift.

    Neyman and Pearson: no test of single pixels that keeps to the same false alarms finds more. Pixels where there can
    be no defect get the lowest value.
    """
    assert trial.specimen is not None
    scene = trial.specimen.scene
    normal = np.maximum(trial.expectation(0), 1e-6)
    signs = (-1, 1) if scene.anomalies is not None and scene.anomalies.kind == "shift" else (1,)
    ratios = []
    for sign in signs:
        moved = np.maximum(trial.expectation(sign), 1e-6)
        ratios.append((trial.counts * np.log(moved / normal) - (moved - normal)).sum(-1, dtype=np.float64))
    ratio = np.logaddexp.reduce(ratios, axis=0)
    return np.where(where_defects_may_be(scene), ratio, ratio.min())
