"""The drawings of the report, in Bokeh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh import plotting
from bokeh.models import ColorBar, FactorRange, LinearColorMapper, Whisker
from bokeh.palettes import Colorblind8, Viridis256
from bokeh.plotting import ColumnDataSource
from bokeh.transform import dodge

from training.evaluation.results import Comparison, Example, MethodFigures, Nominal, Sweep

figure: Any = plotting.figure  # its keyword arguments are beyond what can be typed
MOST_BASELINES = 4
OURS_COLOUR, BASELINE_COLOUR, LIMIT_COLOUR = Colorblind8[0], Colorblind8[1], "#555555"
SIZE = {"width": 600, "height": 440, "toolbar_location": "right", "tools": "pan,wheel_zoom,box_zoom,reset,hover"}


def shown_methods(comparisons: Sequence[Comparison]) -> list[str]:
    """Titles of ours, those given, the limit, and the baselines that find most over all `comparisons`."""
    found: dict[str, list[float]] = {}
    role: dict[str, str] = {}
    for comparison in comparisons:
        for method in comparison.methods:
            found.setdefault(method.title, []).append(method.found.value)
            role[method.title] = method.role
    baselines = [title for title in found if role[title] == "baseline"]
    best = sorted(baselines, key=lambda title: -float(np.mean(found[title])))[:MOST_BASELINES]
    return [*(title for title in found if role[title] in ("ours", "given")), *best, *_limits(role)]


def _limits(role: dict[str, str]) -> list[str]:
    return [title for title, what in role.items() if what == "limit"]


def roc(comparison: Comparison) -> Any:
    """ROC curves, false alarms on a logarithmic axis: what matters is at their left."""
    plot = figure(x_axis_type="log", x_range=(3e-4, 1.0), y_range=(0, 1.02), title=comparison.title, **SIZE)
    for number, title in enumerate(shown_methods([comparison])):
        method = next(m for m in comparison.methods if m.title == title)
        x, y = zip(*method.curve, strict=True)
        plot.line(x, y, legend_label=title, **_pen(method, number))
    return _labelled(plot, "false alarms", "share of the anomalous pixels found")


def along_shift(sweep: Sweep, shifts_ev: Sequence[float]) -> Any:
    """What each method finds at 1e-3 false alarms as the shift grows."""
    plot = figure(y_range=(0, 1.05), title="single pixels, found at 1e-3 false alarms", **SIZE)
    for number, title in enumerate(shown_methods(sweep.points)):
        there = [(x, m) for x, c in zip(shifts_ev, sweep.points, strict=True) for m in c.methods if m.title == title]
        x, y = [at for at, _ in there], [method.found.value for _, method in there]
        pen = _pen(there[0][1], number)
        plot.line(x, y, legend_label=title, **pen)
        plot.scatter(x, y, size=6, color=pen["color"])
    return _labelled(plot, "shift, eV", "found at 1e-3 false alarms")


def calibration(curves: Sequence[Nominal]) -> Any:
    """Nominal against observed share of clean pixels; on the diagonal a p-value is what it says."""
    plot = figure(x_axis_type="log", y_axis_type="log", title="p-values on clean specimens", **SIZE)
    plot.line([1e-3, 1.0], [1e-3, 1.0], color=LIMIT_COLOUR, line_dash="dotted", legend_label="as stated")
    for number, curve in enumerate(curves):
        y = [max(value, 1e-5) for value in curve.observed]
        plot.line(curve.nominal, y, color=Colorblind8[number], legend_label=f"{curve.dose:g} times the dose")
        plot.scatter(curve.nominal, y, color=Colorblind8[number], size=6)
    return _labelled(plot, "p-value", "share of clean pixels at or below it")


def bars(sweep: Sweep) -> Any:
    """Ours beside the best baseline at each point of a sweep, found at 1e-3 false alarms, with intervals."""
    labels = [f"{number + 1}. {point.title}" for number, point in enumerate(sweep.points)]
    plot = figure(x_range=(0, 1.05), y_range=FactorRange(factors=labels[::-1]), title=sweep.name, **SIZE)
    plot.width, plot.height = 960, 120 + 60 * len(labels)
    for role, colour, offset in (("ours", OURS_COLOUR, 0.17), ("baseline", BASELINE_COLOUR, -0.17)):
        rows = []
        for label, point in zip(labels, sweep.points, strict=True):
            methods = [m for m in point.methods if m.role == role]
            if methods:
                best = max(methods, key=lambda m: m.found.value)
                rows.append((label, best.found.value, best.found.lo, best.found.hi, f"{best.title}, {best.score}"))
        if not rows:
            continue
        names = ("label", "value", "lo", "hi", "method")
        source = ColumnDataSource({name: list(each) for name, each in zip(names, zip(*rows, strict=True), strict=True)})
        legend = "3D-CVAE" if role == "ours" else "best baseline"
        at = dodge("label", offset, range=plot.y_range)
        plot.hbar(y=at, right="value", height=0.3, color=colour, legend_label=legend, source=source)
        plot.add_layout(Whisker(base=at, lower="lo", upper="hi", dimension="width", source=source, level="overlay"))
    return _labelled(plot, "found at 1e-3 false alarms", "")


def example_map(example: Example) -> Any:
    """-log10 p of a scene, the true defects outlined."""
    image, truth = np.array(example.minus_log_p), np.array(example.truth)
    rows, columns = image.shape
    mapper: Any = LinearColorMapper(palette=Viridis256, low=0, high=max(6.0, float(np.quantile(image, 0.999))))
    plot = figure(x_range=(0, columns), y_range=(rows, 0), title=example.title, match_aspect=True, **SIZE)
    plot.width, plot.height = 560, 500
    plot.image(image=[image], x=0, y=0, dw=columns, dh=rows, color_mapper=mapper)
    at_row, at_column = np.nonzero(truth)
    plot.rect(at_column + 0.5, at_row + 0.5, 1, 1, fill_alpha=0, line_color="white", line_width=0.7)
    bar: Any = ColorBar  # the name of its mapper is inherited, which the type checker does not see
    plot.add_layout(bar(color_mapper=mapper, title="-log10 p"), "right")
    plot.xaxis.axis_label, plot.yaxis.axis_label = "column", "row"
    return plot


def _pen(method: MethodFigures, number: int) -> dict[str, Any]:
    if method.role == "limit":
        return {"color": LIMIT_COLOUR, "line_dash": "dotted", "line_width": 2}
    if method.role == "ours":
        return {"color": OURS_COLOUR, "line_width": 3}
    return {"color": Colorblind8[1 + number % 7], "line_width": 1.5}


def _labelled(plot: Any, x: str, y: str) -> Any:
    plot.xaxis.axis_label, plot.yaxis.axis_label = x, y
    plot.add_layout(plot.legend[0], "below")  # where it hides no curve
    plot.legend.ncols = 2
    plot.legend.label_text_font_size = "10px"
    plot.legend.click_policy = "hide"
    return plot
