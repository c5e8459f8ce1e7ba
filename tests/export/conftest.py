from dataclasses import replace

import numpy as np
import pytest

from monitor.files.spectrum_image import write_spectrum_image
from monitor.sim.acquisition import acquire
from monitor.sim.scene import scene_named, window_of
from training.command import train


@pytest.fixture(scope="session")
def film():
    """A small clean film, 300 channels, so that the model adds up two channels to one."""
    scene = replace(scene_named("clean"), rows=24, columns=20, energy=window_of(300))
    return acquire(scene, 1).image


@pytest.fixture(scope="session")
def holed_film(film):
    """Its counts as float32, not whole numbers, with missing pixels and spikes."""
    counts = film.counts.astype(np.float32) / np.float32(0.63)
    counts[10, 3:7] = np.nan
    for row in range(len(counts)):  # spikes, some of them doubted because of one in the row beside it
        counts[row, (7 * row) % 20, 11 * row : 11 * row + 2] *= 1 + 3 * (row % 3)
        counts[row, 12, 80] *= 1 + 2 * (row % 4 > 1)
    return counts


@pytest.fixture(scope="session")
def run(film, tmp_path_factory):
    """A finished run, trained just long enough to be no longer at its start."""
    folder = tmp_path_factory.mktemp("run")
    write_spectrum_image(folder / "film.npz", film)
    train([str(folder / "film.npz"), "steps=30", "batch=2", "coarse_limit=256"], output=folder / "run", quiet=True)
    return folder / "run"
