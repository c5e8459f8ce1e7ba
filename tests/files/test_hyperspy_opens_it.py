"""HyperSpy itself must open what is written. It runs in a process of its own: it warns and logs as it loads."""

import json
import subprocess
import sys

import numpy as np
import pytest

from monitor.core.axes import EnergyAxis
from monitor.files.score_maps import ScoreMaps, write_score_maps
from monitor.files.spectrum_image import SpectrumImage, write_spectrum_image

OPEN = """
import json, sys
import hyperspy.api as hs
told = []
for path in sys.argv[1:]:
    signal = hs.load(path)
    axes = signal.axes_manager._axes
    told.append({
        "class": type(signal).__name__,
        "shape": signal.data.shape,
        "sum": float(signal.data.sum()),
        "navigate": [axis.navigate for axis in axes],
        "scale": [axis.scale for axis in axes],
        "units": [str(axis.units) for axis in axes],
        "offset": axes[-1].offset,
        "beam": signal.metadata.get_item("Acquisition_instrument.TEM.beam_energy"),
    })
print(json.dumps(told, default=float))
"""


def test_hyperspy_opens_counts_as_eels_and_scores_as_an_image(tmp_path):
    pytest.importorskip("exspy")
    counts = np.random.default_rng(0).poisson(20, (3, 4, 50)).astype("<u2")
    energy = EnergyAxis(offset_ev=420.0, step_ev=0.5, size=50)
    image = SpectrumImage(counts=counts, energy=energy, title="a/map", beam_kev=200.0, pixel_nm=(0.2, 0.3))
    write_spectrum_image(tmp_path / "map.hspy", image)
    flat = np.ones((3, 4), "f4")
    maps = ScoreMaps(score=flat, p_value=flat, flag=flat > 2, energy_ev=flat, kind=flat.astype(int), card="{}")
    write_score_maps(tmp_path / "score.hspy", maps, image)

    command = [sys.executable, "-c", OPEN, str(tmp_path / "map.hspy"), str(tmp_path / "score.hspy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    eels, score = json.loads(done.stdout.splitlines()[-1])
    assert eels == {
        "class": "EELSSpectrum",
        "shape": [3, 4, 50],
        "sum": float(counts.sum()),
        "navigate": [True, True, False],
        "scale": [0.2, 0.3, 0.5],
        "units": ["nm", "nm", "eV"],
        "offset": 420.0,
        "beam": 200.0,
    }
    assert (score["class"], score["shape"], score["navigate"]) == ("Signal2D", [3, 4], [False, False])
    assert (score["scale"], score["units"]) == ([0.2, 0.3], ["nm", "nm"])
