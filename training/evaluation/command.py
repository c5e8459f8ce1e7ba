"""The subcommand `evaluate`. Imports torch only when called."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from monitor.core.errors import UsageError


def evaluate(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN-or-MODEL...]", help="Training runs or .onnx files to judge too.")
    ] = None,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="REPORT", help="REPORT.html; JSON goes beside it.")],
    quick: Annotated[bool, typer.Option("--quick", help="Smaller and coarser: minutes instead of a quarter.")] = False,
    clean_map: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="A clean map of the given models' material.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=1_000_000, help="Of specimens, weights and injections.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
) -> None:
    """Repeat the paper's experiment, compare with other methods, and write one report."""
    given = [Path(text) for text in models or []]
    if output.suffix.lower() not in (".html", ".json", ""):
        raise UsageError(f"the report would go to {output.name}; wanted a .html")
    if clean_map is not None and not given:
        raise UsageError("--map is for the models given on the command line; give a RUN or a MODEL.onnx with it")
    # Threads that wait spinning halve the speed of a shared machine (read by torch's OpenMP when it is loaded).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import msgspec

    from monitor.files.spectrum_image import read_spectrum_image
    from training.evaluation.candidate import open_candidate
    from training.evaluation.experiment import Given, run_experiment
    from training.evaluation.plan import QUICK, STANDARD
    from training.evaluation.report import check_place, write_report

    check_place(output)
    opened = Given(
        candidates=[open_candidate(path) for path in given],
        image=None if clean_map is None else read_spectrum_image(clean_map),
        image_name="" if clean_map is None else clean_map.name,
    )
    report = run_experiment(QUICK if quick else STANDARD, opened, seed=seed, silent=quiet or as_json)
    page, data = write_report(output, report)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    elif not quiet:
        ahead = f"not ahead of a baseline at 1e-3 false alarms: {'; '.join(report.not_ahead) or 'nowhere tried'}"
        typer.echo(f"{page} and {data.name} after {report.seconds:.0f} s; {ahead}")
