"""The report as one HTML file that needs nothing from elsewhere, and the same results as JSON beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import msgspec
from bokeh.embed import components
from bokeh.resources import Resources

from monitor.core.errors import DataError
from monitor.files.atomic import replacing
from training.evaluation.figures import along_shift, bars, calibration, example_map, roc
from training.evaluation.paper import AS_PAPER
from training.evaluation.results import Report, Sweep
from training.evaluation.tables import (
    calibration_table,
    comparison_table,
    paper_table,
    reconstruction_table,
    said,
)

PAGE = Path(__file__).with_name("page.html")


def places(output: Path) -> tuple[Path, Path]:
    """The HTML and the JSON file of a report called `output`."""
    return output.with_suffix(".html"), output.with_suffix(".json")


def check_place(output: Path) -> None:
    """Raise DataError now, not after a quarter of an hour, where the report cannot be written."""
    for path in places(output):
        if path.is_dir() or not path.parent.is_dir():
            why = "is a folder" if path.is_dir() else f"has no folder {path.parent}"
            raise DataError(f"{path} {why}; wanted a place for the report such as report.html")


def write_report(output: Path, report: Report) -> tuple[Path, Path]:
    """Write both files whole or not at all. Raises DataError where the place cannot be written to."""
    page, data = places(output)
    with replacing(data) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    with replacing(page) as temporary:
        temporary.write_text(html_of(report), encoding="utf-8")
    return page, data


def html_of(report: Report) -> str:
    """The page of a report."""
    shown: dict[str, list[Any]] = {
        "scene_figures": [example_map(report.example), *(roc(scene) for scene in report.scenes)],
        "sweep_figures": [],
        "calibration_figure": [calibration(report.calibration)],
    }
    for sweep in report.sweeps:
        if sweep.name == "shift" and sweep.points:
            shown["sweep_figures"].append(along_shift(sweep, report.plan.shifts_ev))
        elif sweep.points:
            shown["sweep_figures"].append(bars(sweep))
    script, blocks = components([plot for plots in shown.values() for plot in plots])
    divs = iter(blocks)
    figures = {name: "".join(next(divs) for _ in plots) for name, plots in shown.items()}
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        figures,
        resources=Resources(mode="inline", components=["bokeh"]).render(),
        scripts=script,
        seed=report.seed,
        summary=escape(_summary(report)),
        verdict=escape(f"{verdict(report.not_ahead)} {paper_verdict(report)}"),
        notes="".join(f"<li>{escape(note)}</li>" for note in report.notes),
        paper=paper_table(report.paper_shifts_ev, report.paper),
        scenes="".join(comparison_table(scene) for scene in report.scenes),
        sweeps="".join(_sweep(sweep) for sweep in report.sweeps),
        discovery=escape(
            f"False flags among the flags at a false discovery rate of {report.discovery.asked:g}, over "
            f"{report.discovery.scenes} maps of the standard scenes: {said(report.discovery.seen)}."
        ),
        calibration=calibration_table(report.calibration),
        reconstruction=reconstruction_table(report.reconstruction),
        own="".join(comparison_table(each) for each in report.own) or "<p>None was tried, see the notes above.</p>",
    )


def verdict(places_not_ahead: Sequence[str]) -> str:
    """One sentence that says where the 3D-CVAE is not ahead."""
    if not places_not_ahead:
        return "At 1e-3 false alarms the 3D-CVAE finds more than every baseline in each scene that was tried."
    return f"At 1e-3 false alarms the 3D-CVAE is NOT ahead of a baseline at: {'; '.join(places_not_ahead)}."


def paper_verdict(report: Report) -> str:
    """One sentence that says at which of the paper's shifts PCA does as well, all done as the paper did it."""
    rows = [row for row in report.paper if row.source == AS_PAPER]
    best = {
        ours: [max(each) for each in zip(*([f.value for f in row.f1] for row in group), strict=True)]
        for ours in (True, False)
        if (group := [row for row in rows if row.method.startswith("3D-CVAE") is ours])
    }
    level = [
        f"{shift_ev:g}"
        for shift_ev, ours, other in zip(report.paper_shifts_ev, best[True], best[False], strict=True)
        if not ours > other
    ]
    where = f"at {', '.join(level)} eV" if level else "at none of the shifts"
    return f"In the paper's experiment, done as the paper did it, PCA's F1 is as high or higher {where}."


def _summary(report: Report) -> str:
    plan = report.plan
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    return (
        f"{report.created}, plan '{plan.name}', seed {report.seed}: maps of {plan.rows} x {plan.columns} pixels and "
        f"{plan.channels} channels, {plan.counts_per_pixel:g} counts per pixel, {plan.replicates} specimens a scene; "
        f"{report.seconds:.0f} s. {versions}."
    )


def _sweep(sweep: Sweep) -> str:
    if sweep.why_not is not None:
        return f"<h3>{escape(sweep.name)}</h3><p>Not swept: {escape(sweep.why_not)}.</p>"
    tables = "".join(comparison_table(point) for point in sweep.points)
    return f"<details><summary>{escape(sweep.name)}: all figures</summary>{tables}</details>"
