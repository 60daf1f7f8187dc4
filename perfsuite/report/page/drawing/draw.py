"""Draw any plot as SVG."""

from __future__ import annotations

from perfsuite.report.page.drawing.bars import draw_bars, draw_stacked_bars, part_names
from perfsuite.report.page.drawing.distribution import draw_distribution
from perfsuite.report.page.drawing.lines import draw_lines
from perfsuite.report.page.drawing.timeline import draw_timeline, span_names
from perfsuite.report.page.plots import AnyPlot, BarPlot, Distribution, LinePlot, StackedBarPlot

WIDE, NARROW = 900.0, 360.0  # pixels; a page has both forms, and its stylesheet shows the one that fits


def draw(plot: AnyPlot, width: float) -> str:
    """Render an SVG element; empty where the plot has no finite value."""
    if isinstance(plot, LinePlot):
        return draw_lines(plot, width)
    if isinstance(plot, BarPlot):
        return draw_bars(plot, width)
    if isinstance(plot, StackedBarPlot):
        return draw_stacked_bars(plot, width)
    if isinstance(plot, Distribution):
        return draw_distribution(plot, width)
    return draw_timeline(plot, width)


def legend_of(plot: AnyPlot) -> list[str]:
    """The names of the colors of a plot; empty where it has one color."""
    if isinstance(plot, StackedBarPlot):
        return part_names(plot)
    if isinstance(plot, LinePlot):
        return [series.name for series in plot.series] if len(plot.series) > 1 else []
    if isinstance(plot, BarPlot | Distribution):
        return []
    return span_names(plot)
