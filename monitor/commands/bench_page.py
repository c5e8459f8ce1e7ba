"""The figures of the stream benchmark as one HTML file with plots that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bokeh import plotting
from bokeh.embed import file_html
from bokeh.layouts import row
from bokeh.palettes import Colorblind8
from bokeh.resources import INLINE

from monitor.commands.bench_pace import Row
from monitor.files.atomic import replacing

figure: Any = plotting.figure  # its keyword arguments are beyond what can be typed
SIZE = {"width": 560, "height": 420, "toolbar_location": None}
QUANTILES = (
    ("p50_ms", "score, half", "dotted"),
    ("p99_ms", "score, 99 %", "solid"),
    ("page_p99_ms", "page, 99 %", "dashed"),
)


def write_page(path: Path, stream: Sequence[Row], rivals: Sequence[Row], machine: str) -> None:
    """Latency over the rate for each width, spectra/s beside others; raises DataError where it cannot be written."""
    plots = row(_latency(stream), _pace(rivals))
    with replacing(path) as temporary:
        temporary.write_text(file_html(plots, INLINE, f"eelswatch bench stream, {machine}"), encoding="utf-8")


def _latency(rows: Sequence[Row]) -> Any:
    plot = figure(title="from the row that completes a neighbourhood", y_axis_type="log", **SIZE)
    kinds = list(dict.fromkeys((each["channels"], each["columns"]) for each in rows))
    for number, (channels, columns) in enumerate(kinds):
        of_kind = [each for each in rows if (each["channels"], each["columns"]) == (channels, columns)]
        for name, said, dash in QUANTILES:
            x, y = [each["sent_per_s"] for each in of_kind], [each[name] for each in of_kind]
            legend = f"{channels} channels: {said}"
            plot.line(x, y, color=Colorblind8[number], line_dash=dash, line_width=2, legend_label=legend)
            plot.scatter(x, y, color=Colorblind8[number], size=6)
    plot.xaxis.axis_label, plot.yaxis.axis_label = "spectra/s sent, none lost where all were scored", "ms"
    plot.add_layout(plot.legend[0], "below")
    plot.legend.ncols, plot.legend.label_text_font_size = 2, "10px"
    return plot


def _pace(rows: Sequence[Row]) -> Any:
    names = [f"{each['what']}, {each['channels']}" for each in rows]
    plot = figure(y_range=names[::-1], x_axis_type="log", title="counts in memory, by channels", **SIZE)
    plot.hbar(y=names, left=100, right=[each["spectra_per_s"] for each in rows], height=0.6, color=Colorblind8[0])
    plot.xaxis.axis_label = "spectra/s"
    return plot
