from dataclasses import replace

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
def run(film, tmp_path_factory):
    """A finished run, trained just long enough to be no longer at its start."""
    folder = tmp_path_factory.mktemp("run")
    write_spectrum_image(folder / "film.npz", film)
    train([str(folder / "film.npz"), "steps=30", "batch=2", "coarse_limit=256"], output=folder / "run", quiet=True)
    return folder / "run"
