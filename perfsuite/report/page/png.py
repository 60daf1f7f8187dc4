"""Plots as PNG files, for pages that cannot show SVG; matplotlib (perfsuite[plots]) draws them."""

from __future__ import annotations

import io
from itertools import accumulate
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from perfsuite.judge.units import MetricKind
from perfsuite.report.page.drawing.bars import part_names
from perfsuite.report.page.drawing.canvas import finite, shorten
from perfsuite.report.page.drawing.timeline import span_names
from perfsuite.report.page.plots import AnyPlot, BarPlot, Distribution, LinePlot, StackedBarPlot, Timeline
from perfsuite.report.page.quantities import PlotKind, axis_ticks
from perfsuite.report.text import escape_control_characters

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0072b2", "#d4520a", "#1b1052", "#7e6a5c", "#5c0d1e", "#a03cd8")  # of page.css, light
MARKERS = "osD^"
_INK = "#1c2330"
_WIDTH, _ROW, _DPI = 9.0, 0.42, 120  # inches, inches, pixels per inch


def can_draw_png() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def draw_png(plot: AnyPlot) -> bytes:
    """Draw a plot; the bytes of a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _height(plot)), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(_plain(plot.title), loc="left", color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    if isinstance(plot, LinePlot):
        _lines(axes, plot)
    elif isinstance(plot, BarPlot):
        _bars(axes, plot)
    elif isinstance(plot, StackedBarPlot):
        _stacked_bars(axes, plot)
    elif isinstance(plot, Distribution):
        _distribution(axes, plot)
    else:
        _timeline(axes, plot)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


def _height(plot: AnyPlot) -> float:
    if isinstance(plot, LinePlot):
        return 3.6
    rows = (
        plot.lanes
        if isinstance(plot, Timeline)
        else plot.groups
        if isinstance(plot, Distribution)
        else plot.bars
    )
    return min(60.0, 1.3 + _ROW * len(rows))


def _lines(axes: Axes, plot: LinePlot) -> None:
    for number, series in enumerate(plot.series):
        points = sorted((each for each in series.points if isfinite(each.y)), key=lambda each: each.x)
        x, y = [each.x for each in points], [each.y for each in points]
        low = [nan if each.low is None else max(each.low, -1e300) for each in points]
        high = [nan if each.high is None else min(each.high, 1e300) for each in points]
        color = COLORS[number % len(COLORS)]
        marker = MARKERS[number % len(MARKERS)] if len(points) <= 80 else ""
        axes.plot(x, y, color=color, marker=marker, label=_plain(series.name))
        if plot.has_bands:
            axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        else:
            axes.vlines(x, low, high, color=color)
    points = [point for series in plot.series for point in series.points]
    values = finite(value for each in points for value in (each.y, each.low, each.high))
    if values:
        margin = 0.06 * (max(values) - min(values)) or 0.06 * abs(values[0]) or 1.0
        axes.set_ylim(min(0.0, min(values)) if plot.from_zero else min(values) - margin, max(values) + margin)
    _set_ticks(axes.yaxis, axes.get_ylim(), plot.kind)
    names = {each.x: each.name for each in points if each.name}
    if names:
        shown = sorted(names)[:: max(1, len(names) // 8)]
        axes.set_xticks(shown, [shorten(_plain(names[x]), 100) for x in shown])
    else:
        measured = sorted({each.x for each in points})
        if len(measured) <= 10:
            axes.set_xticks(measured)
    for mark in plot.marks:
        axes.axvline(mark.x, color=_INK, linestyle="--", linewidth=1)
        axes.annotate(_plain(mark.text), (mark.x, 0.98), xycoords=("data", "axes fraction"), va="top")
    axes.set(xlabel=_plain(plot.x_label), ylabel=_plain(plot.y_label))
    axes.grid(axis="y", alpha=0.3)
    if len(plot.series) > 1:
        axes.legend(frameon=False)


def _bars(axes: Axes, plot: BarPlot) -> None:
    rows = list(range(len(plot.bars)))
    axes.barh(
        rows, [bar.value if isfinite(bar.value) else 0.0 for bar in plot.bars], color=COLORS[0], height=0.6
    )
    for row, bar in zip(rows, plot.bars, strict=True):
        ends = finite([bar.low, bar.high])
        if len(ends) == 2:
            axes.hlines(row, min(ends), max(ends), color=_INK)
    if plot.reference is not None and isfinite(plot.reference):
        axes.axvline(plot.reference, color=_INK, linestyle="--", label=_plain(plot.reference_label))
    _finish_rows(axes, [bar.name for bar in plot.bars], plot.kind, plot.value_label)


def _stacked_bars(axes: Axes, plot: StackedBarPlot) -> None:
    names = part_names(plot)
    for row, bar in enumerate(plot.bars):
        begins = [0.0, *accumulate(bar.parts.values())]
        for (name, value), begin in zip(bar.parts.items(), begins, strict=False):
            axes.barh(row, value, left=begin, height=0.6, edgecolor="white", **_style(names, name))
    _legend(axes, names)
    _finish_rows(axes, [bar.name for bar in plot.bars], plot.kind, plot.value_label)


def _distribution(axes: Axes, plot: Distribution) -> None:
    groups = [group for group in plot.groups if group.values]
    axes.boxplot(
        [group.values for group in groups],
        orientation="horizontal",
        positions=range(len(groups)),
        widths=0.6,
        whis=(5, 95),
        flierprops={"markersize": 2},
        medianprops={"color": COLORS[1], "linewidth": 2},
    )
    _finish_rows(axes, [group.name for group in groups], plot.kind, plot.value_label)


def _timeline(axes: Axes, plot: Timeline) -> None:
    spans = [span for lane in plot.lanes for span in lane.spans]
    start, names = min((span.begin for span in spans), default=0.0), span_names(plot)
    for row, lane in enumerate(plot.lanes):
        for name in names:
            own = [(each.begin - start, each.end - each.begin) for each in lane.spans if each.name == name]
            axes.broken_barh(own, (row - 0.3, 0.6), **_style(names, name))
    _legend(axes, names)
    _finish_rows(axes, [lane.name for lane in plot.lanes], MetricKind.SECONDS, "time")


def _finish_rows(axes: Axes, names: list[str], kind: PlotKind, label: str) -> None:
    axes.set_yticks(range(len(names)), [shorten(_plain(name), 240) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)  # the first row on top
    _set_ticks(axes.xaxis, axes.get_xlim(), kind)
    axes.set_xlabel(_plain(label))
    axes.grid(axis="x", alpha=0.3)


def _set_ticks(axis: Any, limits: tuple[float, float], kind: PlotKind) -> None:
    ticks = axis_ticks(min(limits), max(limits), kind, 5)
    axis.set_ticks(list(ticks.values()), labels=list(ticks))


def _style(names: list[str], name: str) -> dict[str, Any]:
    number = names.index(name)
    return {"color": COLORS[number % len(COLORS)], "alpha": 0.5 if number // len(COLORS) % 2 else 1.0}


def _legend(axes: Axes, names: list[str]) -> None:
    from matplotlib.patches import Patch

    keys = [Patch(label=_plain(name), **_style(names, name)) for name in names]
    axes.legend(handles=keys, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _plain(text: str) -> str:
    """Text without control characters and without matplotlib's markup for formulas."""
    return escape_control_characters(text).replace("$", r"\$")
