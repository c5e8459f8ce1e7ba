"""`eelswatch bench`: what this machine holds, measured, as a table or JSON."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from monitor.commands.bench_pace import Row, measure_pace, measure_rivals
from monitor.commands.bench_page import write_page
from monitor.commands.bench_stream import Load, measure_stream
from monitor.commands.first_model import TRAINING_SEED, call, first_model
from monitor.core.errors import UsageError
from monitor.files.spectrum_image import write_spectrum_image
from monitor.io.scorer import load_scorer
from monitor.sim.acquisition import acquire
from monitor.sim.scene import SCENES, window_of

RATES_PER_S = (2000.0, 4000.0, 8000.0, 16000.0)
COLUMNS = 128
IN_MEMORY = "the same machine, counts in memory"
SIDE_BY_SIDE = 4
"""Measurements a table."""


def bench(
    what: Annotated[str, typer.Argument(help="stream, score or train.")],
    *,
    model: Annotated[list[Path] | None, typer.Option(help="MODEL.onnx, more than one for a sweep.")] = None,
    channels: Annotated[list[int] | None, typer.Option(help="Without a model: train one in a moment, so wide.")] = None,
    device: Annotated[str, typer.Option(help="auto, cuda or cpu.")] = "auto",
    rate: Annotated[list[float] | None, typer.Option(min=1, help="Of the stream: spectra per second.")] = None,
    columns: Annotated[list[int] | None, typer.Option(min=1, help="Of the stream: pixels a row.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Of the stream: at each rate.")] = 10.0,
    browser: Annotated[Path | None, typer.Option(help="Of the stream: a Chromium that shows the page.")] = None,
    html: Annotated[Path | None, typer.Option(help="Of the stream: a file for its plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure spectra/s of the stream, of scoring, or the time of a training; options may be given several times."""
    tables: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if what == "train":
            tables[what] = [_train(folder)]
        elif what == "score":
            tables[what] = [
                row for chosen in _models(model, channels, folder) for row in measure_pace(load_scorer(chosen, device))
            ]
        elif what == "stream":
            load = Load(rates_per_s=rate or RATES_PER_S, columns=columns or [COLUMNS], seconds=seconds, browser=browser)
            tables = {what: [], IN_MEMORY: []}
            for number, chosen in enumerate(_models(model, channels, folder)):
                (place_of_its_own := folder / str(number)).mkdir()
                scorer = load_scorer(chosen, device)
                tables[what] += measure_stream(chosen, device, scorer.card, load, place_of_its_own)
                tables[IN_MEMORY] += measure_rivals(scorer)
        else:
            raise UsageError(f"there is no benchmark {what!r}; wanted stream, score or train")
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    if html is not None and IN_MEMORY in tables:
        write_page(html, tables[what], tables[IN_MEMORY], machine)
    if as_json:
        told = {"bench": what, "cores": os.cpu_count(), "machine": platform.machine(), "rows": tables[what]}
        typer.echo(msgspec.json.encode(told | ({"rivals": tables[IN_MEMORY]} if IN_MEMORY in tables else {})))
        return
    for title, measured in tables.items():
        # a figure a line and a measurement a column: a dozen figures side by side fit no terminal
        for first in range(0, len(measured), SIDE_BY_SIDE):
            rows = measured[first : first + SIDE_BY_SIDE]
            table = Table(title=f"{title}, {machine}", show_header=False)
            for _ in ("name", *rows):
                table.add_column(overflow="fold")
            for name in rows[0]:
                table.add_row(name, *(_shown(row[name]) for row in rows))
            Console().print(table)


def _models(given: list[Path] | None, channels: list[int] | None, folder: Path) -> list[Path]:
    """The models given, or those of a clean simulated specimen in so many channels."""
    if given:
        return given
    demo = SCENES["demo"]
    scenes = [replace(demo, name=f"demo{size}", energy=window_of(size)) for size in channels or [demo.energy.size]]
    return [first_model(scene, folder, quiet=True) for scene in scenes]


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


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
