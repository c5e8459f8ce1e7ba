"""`eelswatch bench`: what this machine holds, measured, as a table or JSON."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from monitor.commands.bench_stream import measure_stream
from monitor.commands.first_model import TRAINING_SEED, call, first_model
from monitor.core.errors import UsageError
from monitor.core.resampling import resampler
from monitor.files.spectrum_image import write_spectrum_image
from monitor.io.scorer import Scorer, load_scorer, strips_of
from monitor.sim.acquisition import acquire
from monitor.sim.scene import SCENES

REPEATS = 3
BULK_PIXELS = 4096
Row = dict[str, float | int | str]


def bench(
    what: Annotated[str, typer.Argument(help="stream, score or train.")],
    *,
    model: Annotated[Path | None, typer.Option(help="MODEL.onnx; one is trained in a moment without.")] = None,
    device: Annotated[str, typer.Option(help="auto, cuda or cpu.")] = "auto",
    seconds: Annotated[float, typer.Option(min=1, help="Length of each streamed scan in s.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure spectra/s of the stream, of scoring, or the time of a training."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if what == "train":
            rows = [_train(folder)]
        elif what in ("score", "stream"):
            chosen = model if model is not None else first_model(SCENES["demo"], folder, quiet=True)
            scorer = load_scorer(chosen, device)
            rows = _score(scorer) if what == "score" else measure_stream(chosen, scorer.card.energy, seconds, folder)
        else:
            raise UsageError(f"there is no benchmark {what!r}; wanted stream, score or train")
    if as_json:
        typer.echo(
            msgspec.json.encode({"bench": what, "cores": os.cpu_count(), "machine": platform.machine(), "rows": rows})
        )
        return
    table = Table(*rows[0], title=f"{what}, {os.cpu_count()} cores, {platform.machine()}")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    Console().print(table)


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _score(scorer: Scorer) -> list[Row]:
    energy, rng = scorer.card.energy, np.random.default_rng(0)
    counts = rng.poisson(400.0, (64, 64, energy.size)).astype(np.uint16)
    received = np.ones(counts.shape[:2], np.bool_)
    same = resampler(energy, energy)
    assert same is not None
    rows: list[Row] = []
    for name, pixels in (("bulk", BULK_PIXELS), ("row by row", counts.shape[1])):
        best_s = np.inf
        for _ in range(REPEATS + 1):  # the first one warms up
            begun_s = time.perf_counter()
            for strip in strips_of(counts, received, card=scorer.card, resample=same, pixels=pixels):
                scorer.score(strip)
            best_s = min(best_s, time.perf_counter() - begun_s)
        rows.append(
            {
                "mode": name,
                "channels": energy.size,
                "provider": scorer.provider,
                "spectra_per_s": received.size / best_s,
            }
        )
    return rows


def _train(folder: Path) -> Row:
    scene = SCENES["clean"]
    bulk, run, model = folder / "bulk.npz", folder / "run", folder / "model.onnx"
    write_spectrum_image(bulk, acquire(scene, TRAINING_SEED).image)
    begun_s = time.perf_counter()
    call("train", str(bulk), "-o", str(run), "--quiet")
    trained_s = time.perf_counter()
    call("export", str(run), "-o", str(model), "--quiet")
    exported_s = time.perf_counter()
    return {
        "map": f"{scene.rows} x {scene.columns} x {scene.energy.size}",
        "train_s": trained_s - begun_s,
        "export_s": exported_s - trained_s,
    }
