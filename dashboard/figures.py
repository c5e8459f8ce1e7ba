"""The Bokeh figures of the page, empty: the page's own scripts fill their sources by name.

Names are the contract with the scripts: figures anomaly, total, spectrum, residual, parent_crop, child; image sources
anomaly_image, total_image, crop_image, child_image; states of pixels without a value map_state, crop_state,
child_state; labelled pixels label_image; and the marks. Row 0 is on top; pixel k of an axis spans k to k + 1.
"""

from __future__ import annotations

import numpy as np
from bokeh.models import (
    BoxAnnotation,
    ColorBar,
    ColumnDataSource,
    Image,
    LinearColorMapper,
    NumeralTickFormatter,
    Range1d,
    Span,
)
from bokeh.palettes import Cividis256, Inferno256
from bokeh.plotting import figure

INK, FAINT, PANEL, GROUND = "#e8edf2", "#93a4b5", "#1a2027", "#0f1317"
NOT_YET, WAITING, GAP_INK = "#35414e", "#7b8fa3", "#b9c6d2"
FLAG, CHOSEN = "#35e0ff", "#ffffff"
LABELS = ["#7ee081", "#3b6ea8", "#f2f5f7", "rgba(15, 19, 23, 0.5)"]
"""Over labels 1, 2, 3: spike, vacuum, saturated, no colour of the anomaly map; and the veil over provisional scores."""
CLEAR = "rgba(0, 0, 0, 0)"
HIGHEST_NEG_LOG10_P = 10
MAP_TOOLS = "pan,wheel_zoom"


def page_figures() -> list[figure]:
    """All figures of the page, one document, ranges linked."""
    x_range, y_range = Range1d(start=0, end=1, name="map_x"), Range1d(start=1, end=0, name="map_y")
    mapper = LinearColorMapper(
        palette=Inferno256, low=0, high=HIGHEST_NEG_LOG10_P, nan_color=CLEAR, name="anomaly_colors"
    )
    counts = LinearColorMapper(palette=Cividis256, low=0, high=1, nan_color=CLEAR, name="total_colors")
    state = _image_source("map_state")
    marks = _mark_sources()
    anomaly = _map("anomaly", mapper, _image_source("anomaly_image"), state, x_range, y_range)
    labels = LinearColorMapper(palette=LABELS, low=0.5, high=len(LABELS) + 0.5, nan_color=CLEAR)
    _draw_image(anomaly, _image_source("label_image"), labels)
    total = _map("total", counts, _image_source("total_image"), state, x_range, y_range)
    for plot in (anomaly, total):
        _draw_marks(plot, marks)
        plot.add_layout(_color_bar(mapper if plot is anomaly else counts), "right")
        # Linked ranges keep pixels square in both only while both frames are equally wide.
        plot.min_border_left, plot.min_border_right = 64, 76
    crop_x, crop_y = Range1d(start=0, end=1, name="crop_x"), Range1d(start=1, end=0, name="crop_y")
    crop = _map("parent_crop", mapper, _image_source("crop_image"), _image_source("crop_state"), crop_x, crop_y)
    crop.segment("x0", "y0", "x1", "y1", source=marks["flag_outline"], color=FLAG, line_width=2)
    child_x, child_y = Range1d(start=0, end=1, name="child_x"), Range1d(start=1, end=0, name="child_y")
    child = _map("child", mapper, _image_source("child_image"), _image_source("child_state"), child_x, child_y)
    outline = ColumnDataSource({"x0": [], "y0": [], "x1": [], "y1": []}, name="child_outline")
    child.segment("x0", "y0", "x1", "y1", source=outline, color=FLAG, line_width=2)
    for plot in (crop, child):
        plot.axis.axis_label = None
    return [anomaly, total, *_spectrum(), crop, child]


def _image_source(name: str) -> ColumnDataSource:
    empty = np.full((1, 1), np.nan, dtype=np.float32)
    one = {"dw": [1], "dh": [1], "right": [1], "bottom": [1]}
    return ColumnDataSource({"image": [empty], "x": [0], "y": [0], **one}, name=name)


def _mark_sources() -> dict[str, ColumnDataSource]:
    box = {"left": [], "right": [], "top": [], "bottom": []}
    line = {"x0": [], "y0": [], "x1": [], "y1": []}
    return {
        "flag_outline": ColumnDataSource(line, name="flag_outline"),
        "region_boxes": ColumnDataSource({**box, "width": []}, name="region_boxes"),
        "child_boxes": ColumnDataSource(box, name="child_boxes"),
        "chosen_pixel": ColumnDataSource({"x": [], "y": []}, name="chosen_pixel"),
    }


def _map(
    name: str,
    mapper: LinearColorMapper,
    image: ColumnDataSource,
    state: ColumnDataSource,
    x_range: Range1d,
    y_range: Range1d,
) -> figure:
    """A map from back to front: hatching (no data), the state of pixels without a value, the values."""
    plot = figure(
        name=name,
        x_range=x_range,
        y_range=y_range,
        tools=MAP_TOOLS,
        active_scroll="wheel_zoom",
        x_axis_label="column (pixels)",
        y_axis_label="row (pixels)",
        sizing_mode="stretch_both",
        min_border=4,
    )
    plot.quad(
        left="x", right="right", top="y", bottom="bottom", source=state,
        fill_color=GROUND, line_color=FAINT, hatch_pattern="right_diagonal_line", hatch_color=GAP_INK,
        hatch_scale=8, hatch_weight=2, hatch_alpha=0.8,
    )  # fmt: skip
    states = LinearColorMapper(palette=[NOT_YET, WAITING], low=0, high=2, nan_color=CLEAR)
    for source, colors in ((state, states), (image, mapper)):
        _draw_image(plot, source, colors)
    plot.grid.visible = False
    _dark(plot)
    return plot


def _draw_image(plot: figure, source: ColumnDataSource, colors: LinearColorMapper) -> None:
    plot.add_glyph(source, Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=colors))


def _draw_marks(plot: figure, marks: dict[str, ColumnDataSource]) -> None:
    plot.segment("x0", "y0", "x1", "y1", source=marks["flag_outline"], color=FLAG, line_width=2)
    box = {"left": "left", "right": "right", "top": "top", "bottom": "bottom", "fill_color": None}
    plot.quad(**box, source=marks["region_boxes"], line_color=INK, line_width="width", line_dash="dashed")
    plot.quad(**box, source=marks["child_boxes"], line_color=INK, line_width=2, line_dash="dotted")
    for color, width in ((GROUND, 6), (CHOSEN, 3)):
        plot.scatter(
            "x", "y", source=marks["chosen_pixel"], size=22, marker="circle",
            fill_color=None, line_color=color, line_width=width,
        )  # fmt: skip


def _color_bar(mapper: LinearColorMapper) -> ColorBar:
    return ColorBar(
        color_mapper=mapper, width=14, padding=6, background_fill_color=None, bar_line_color=FAINT,
        major_label_text_color=INK, major_label_text_font_size="13px", major_tick_line_color=INK,
        formatter=NumeralTickFormatter(format="0.[0]a"),
    )  # fmt: skip


def _spectrum() -> tuple[figure, figure]:
    source = ColumnDataSource({"energy_ev": [], "counts": [], "expected": [], "residual_z": []}, name="pixel_spectrum")
    energy = Range1d(start=0, end=1)
    plots = []
    for name, label in (("spectrum", "counts"), ("residual", "residual (σ)")):
        plot = figure(
            name=name,
            x_range=energy,
            y_range=Range1d(start=0, end=1),
            tools="xpan,xwheel_zoom",
            active_scroll="xwheel_zoom",
            y_axis_label=label,
            sizing_mode="stretch_both",
            min_border=4,
        )
        plot.add_layout(
            Span(dimension="height", line_color=FLAG, line_width=2, line_dash="dashed", name=f"{name}_peak")
        )
        plot.min_border_left, plot.min_border_right = 78, 12
        _dark(plot)
        plots.append(plot)
    spectrum, residual = plots
    spectrum.step("energy_ev", "counts", source=source, mode="center", color="#8fb7e0", legend_label="measured")
    spectrum.line("energy_ev", "expected", source=source, color="#ffb454", line_width=2.5, legend_label="expected")
    spectrum.legend.update(
        background_fill_color=PANEL, background_fill_alpha=0.8, border_line_color=None, label_text_color=INK,
        label_text_font_size="14px", orientation="horizontal", location="top_left", padding=4,
    )  # fmt: skip
    spectrum.xaxis.visible = False
    residual.add_layout(BoxAnnotation(bottom=-3, top=3, fill_color=FAINT, fill_alpha=0.18, line_color=None))
    residual.step("energy_ev", "residual_z", source=source, mode="center", color="#8fb7e0")
    residual.xaxis.axis_label = "energy loss (eV)"
    return spectrum, residual


def _dark(plot: figure) -> None:
    plot.background_fill_color = PANEL
    plot.border_fill_color = None
    plot.outline_line_color = None
    plot.grid.grid_line_color = FAINT
    plot.grid.grid_line_alpha = 0.18
    plot.axis.axis_label_text_color = FAINT
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.axis_label_text_font_size = "14px"
    plot.axis.major_label_text_color = INK
    plot.axis.major_label_text_font_size = "13px"
    plot.axis.axis_line_color = FAINT
    plot.axis.major_tick_line_color = FAINT
    plot.axis.minor_tick_line_color = None
    # Drag pans, the wheel zooms, a double click shows all again: no row of icons is needed for that.
    plot.toolbar_location = None
