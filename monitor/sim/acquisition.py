"""One scan of a scene, as a spectrum image with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.files.spectrum_image import SpectrumImage
from monitor.sim.scene import Scene
from monitor.sim.specimen import SimulatedSpecimen

NOISE_STREAM = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """What the camera saw, and where (row, column) the specimen is anomalous."""

    image: SpectrumImage
    truth: NDArray[np.bool_]


def acquire(scene: Scene, seed: int) -> Acquisition:
    """Scan specimen number `seed` of `scene` once. The same seed gives the same counts."""
    specimen = SimulatedSpecimen.build(scene, seed)
    counts = specimen.acquire(specimen.whole, 1.0, np.random.default_rng([seed, NOISE_STREAM]))
    image = SpectrumImage(
        counts=counts,
        energy=scene.energy,
        title=f"simulated {scene.name}, seed {seed}",
        beam_kev=scene.beam_kev,
        dwell_us=scene.dwell_us,
        pixel_nm=(scene.pixel_nm, scene.pixel_nm),
    )
    return Acquisition(image=image, truth=specimen.truth)
