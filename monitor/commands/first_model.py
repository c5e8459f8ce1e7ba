"""A model to begin with: a clean simulated specimen, trained on and exported by the ordinary commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from monitor.core.errors import EelswatchError, ModelError
from monitor.files.spectrum_image import write_spectrum_image
from monitor.io.scorer import load_scorer
from monitor.sim.acquisition import acquire
from monitor.sim.scene import Scene

TRAINING_SEED = 1000
STEPS = 300
"""A third of an ordinary training: enough for so simple a specimen, and nobody waits long."""


def first_model(scene: Scene, folder: Path, *, quiet: bool) -> Path:
    """The model of `scene` without its anomalies, in `folder`; one made before is used again where it still loads.

    Raises EelswatchError where a step fails (its own message is on stderr then).
    """
    model = folder / f"{scene.name}.onnx"
    if model.exists():
        try:
            load_scorer(model, "cpu")
        except ModelError:
            model.unlink()
        else:
            return model
    folder.mkdir(parents=True, exist_ok=True)
    bulk = folder / f"{scene.name}-bulk.npz"
    write_spectrum_image(bulk, acquire(scene.without_anomalies(), TRAINING_SEED).image)
    run = folder / f"{scene.name}-run"
    silence = ["--quiet"] if quiet else []
    call("train", str(bulk), "-o", str(run), "--restart", *silence, f"steps={STEPS}")
    call("export", str(run), "-o", str(model), *silence)
    return model


def call(*arguments: str) -> None:
    """Run another command of eelswatch in a process of its own; raises EelswatchError where it fails."""
    code = subprocess.call([sys.executable, "-m", "monitor", *arguments])
    if code:
        raise EelswatchError(f"'eelswatch {arguments[0]}' failed with exit code {code}; its message stands above")
