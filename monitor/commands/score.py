"""`eelswatch score`: a whole map through the same graph, strips and calibration as the live monitor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import Progress

from monitor.core.axes import ScanGrid
from monitor.core.errors import DataError, UsageError
from monitor.core.flagging import FlagRule
from monitor.core.maps import LiveMaps
from monitor.core.resampling import resampler
from monitor.files.score_maps import ScoreMaps, write_score_maps
from monitor.files.spectrum_image import SpectrumImage, read_spectrum_image
from monitor.io.scorer import Scorer, load_scorer


def score(
    model: Annotated[Path, typer.Argument(help="MODEL.onnx made by 'eelswatch export'.")],
    file: Annotated[Path, typer.Argument(help="Spectrum image: .dm3 .dm4 .hspy .emd .nxs .npy .npz.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Maps to write: .npz or .hspy.")],
    fdr: Annotated[
        float | None, typer.Option(help="False discovery rate of the flags, above 0 and below 1; 0.01 without.")
    ] = None,
    false_flags: Annotated[
        float | None, typer.Option(help="In place of --fdr: about so many false flags per scan.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda or cpu.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Score a stored map and write its maps: score, p-value, flag, label, energy, kind and amount of the evidence."""
    rule = FlagRule.asked(fdr=fdr, false_flags=false_flags)
    if output.suffix.lower() not in (".npz", ".hspy"):
        raise UsageError(f"{output.name} is no format for score maps; wanted .npz or .hspy")
    scorer = load_scorer(model, device)
    image = read_spectrum_image(file)
    total = total_counts(image)
    maps = score_map(scorer, image, received=~np.isnan(total), name=file.name, quiet=quiet or as_json)
    flag = maps.flag(rule.threshold(maps.p_value, maps.p_value.size, scorer.card.calibration))
    results = ScoreMaps(**maps.results(flag), card=scorer.card.to_json(), total=total)
    write_score_maps(output, results, image)
    labels = maps.labelled(scorer.card.labels)
    flagged, pixels = int(results.flag.sum()), int(np.isfinite(maps.score).sum())
    if as_json:
        told = {"output": str(output), "pixels": pixels, "flagged": flagged, "labels": labels}
        typer.echo(msgspec.json.encode(told | {"fdr": rule.fdr, "false_flags": rule.false_flags}))
    elif not quiet:
        for note in image.notes:
            typer.echo(f"note: {note}")
        typer.echo(f"{flagged} of {pixels} pixels flagged at {rule}; maps in {output}")
        if any(labels.values()):
            found = ", ".join(f"{count} {name}" for name, count in labels.items() if count)
            typer.echo(f"labelled, not flagged for it: {found}")


def score_map(scorer: Scorer, image: SpectrumImage, *, received: NDArray[np.bool_], name: str, quiet: bool) -> LiveMaps:
    """Score every pixel that is `received` (row, column); raises DataError where the axis does not cover the model."""
    card = scorer.card
    resample = resampler(image.energy, card.energy)
    if resample is None:
        raise DataError(
            f"{name} spans {image.energy}, the model wants {card.energy}; score a map of that range or retrain"
        )
    rows, columns = image.counts.shape[:2]
    maps = LiveMaps.empty(ScanGrid(rows=rows, columns=columns))
    with Progress(disable=quiet, transient=True) as progress:
        task = progress.add_task("scoring", total=rows)
        strips = scorer.strips(image.counts, received, resample)
        for strip, scores in scorer.over(strips, scorer.score):
            maps.put(slice(strip.row0, strip.row1), scores, card.calibration, card.energy)
            progress.update(task, completed=strip.row1)
    return maps


def total_counts(image: SpectrumImage) -> NDArray[np.float32]:
    """Counts per pixel, float32 (row, column); NaN where a channel is not finite: such a pixel is missing."""
    totals = np.stack([row.sum(-1, dtype=np.float64) for row in image.counts])
    return np.where(np.isfinite(totals), totals, np.nan).astype(np.float32)
