"""`eelswatch simulate`: a specimen with or without anomalies, to a file.

Raises UsageError for a scene that cannot be built, DataError where a file cannot be written.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer

from monitor.core.errors import UsageError
from monitor.files.atomic import replacing
from monitor.files.spectrum_image import write_spectrum_image
from monitor.sim.acquisition import Acquisition, acquire
from monitor.sim.camera import CAMERAS
from monitor.sim.scene import SCENES, Scene, scene_named, window_of


def simulate(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .hspy, .npz or .npy.")],
    scene: Annotated[str, typer.Option(help=f"One of {', '.join(SCENES)}.")] = "film",
    truth: Annotated[Path | None, typer.Option(help="Also write the mask of anomalous pixels: .npy.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Number of the specimen; the same seed gives the same counts.")] = 0,
    rows: Annotated[int | None, typer.Option(min=1, help="Rows of pixels.")] = None,
    columns: Annotated[int | None, typer.Option(min=1, help="Columns of pixels.")] = None,
    channels: Annotated[int | None, typer.Option(min=2, help="Energy channels over 420 to 820 eV.")] = None,
    counts: Annotated[float | None, typer.Option(help="Mean electrons per pixel.")] = None,
    drift_ev: Annotated[float | None, typer.Option(help="Energy drift of the rows, rms in eV; may be 0.")] = None,
    camera: Annotated[str | None, typer.Option(help=f"One of {', '.join(CAMERAS)}.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Simulate a spectrum image of a BiFeO3-like film on SrTiO3."""
    if truth is not None and truth.suffix.lower() != ".npy":
        raise UsageError(f"the mask would go to {truth.name}; wanted a .npy")
    if camera is not None and camera not in CAMERAS:
        raise UsageError(f"there is no camera '{camera}'; choose one of {', '.join(CAMERAS)}")
    base = scene_named(scene)
    chosen = replace(
        base,
        rows=rows if rows is not None else base.rows,
        columns=columns if columns is not None else base.columns,
        energy=window_of(channels) if channels is not None else base.energy,
        counts_per_pixel=counts if counts is not None else base.counts_per_pixel,
        drift_ev=drift_ev if drift_ev is not None else base.drift_ev,
        camera=CAMERAS[camera] if camera is not None else base.camera,
    )
    acquisition = acquire(chosen, seed)
    write_spectrum_image(output, acquisition.image)
    if truth is not None:
        with replacing(truth) as temporary:
            np.save(temporary, acquisition.truth, allow_pickle=False)
    if not quiet:
        typer.echo(_as_json(output, chosen, seed, acquisition) if as_json else _sentence(output, chosen, acquisition))


def _sentence(output: Path, scene: Scene, acquisition: Acquisition) -> str:
    shape = " x ".join(str(size) for size in acquisition.image.counts.shape)
    anomalous = int(acquisition.truth.sum())
    return (
        f"{output}: {scene.name}, {shape}, {scene.energy}, {scene.counts_per_pixel:g} electrons per pixel, "
        f"{anomalous} anomalous pixel{'' if anomalous == 1 else 's'}"
    )


def _as_json(output: Path, scene: Scene, seed: int, acquisition: Acquisition) -> str:
    summary = {
        "file": str(output),
        "scene": scene.name,
        "seed": seed,
        "shape": acquisition.image.counts.shape,
        "energy": scene.energy,
        "counts_per_pixel": scene.counts_per_pixel,
        "drift_ev": scene.drift_ev,
        "camera": scene.camera.name,
        "anomalous_pixels": int(acquisition.truth.sum()),
    }
    return msgspec.json.encode(summary).decode()
