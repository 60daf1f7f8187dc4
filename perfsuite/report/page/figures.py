"""The figures of each plot as a table, for readers who cannot see it or who want the numbers."""

from __future__ import annotations

from functools import singledispatch

from perfsuite.judge.order_statistics import quantile
from perfsuite.judge.units import MetricKind
from perfsuite.report.page.document import Table
from perfsuite.report.page.plots import AnyPlot, BarPlot, Distribution, LinePlot, StackedBarPlot, Timeline
from perfsuite.report.page.quantities import format_interval_of, format_value


@singledispatch
def figures(plot: AnyPlot) -> Table:
    """All numbers that a plot shows.

    >>> from perfsuite.report.page.plots import Bar
    >>> figures(BarPlot(title="Stages", value_label="time", bars=(Bar("decode", 0.01),))).rows
    (('decode', '0.01', ''),)
    """
    raise TypeError(f"{type(plot).__name__}: not a plot")


@figures.register
def _of_lines(plot: LinePlot) -> Table:
    return Table(
        columns=(plot.x_label, "series", plot.y_label, "interval"),
        rows=tuple(
            (
                point.name or format_value(point.x, plot.x_kind),
                series.name,
                format_value(point.y, plot.kind),
                format_interval_of(point.low, point.high, plot.kind),
            )
            for series in plot.series
            for point in series.points
        ),
    )


@figures.register
def _of_bars(plot: BarPlot) -> Table:
    return Table(
        columns=("", plot.value_label, "interval"),
        rows=tuple(
            (bar.name, format_value(bar.value, plot.kind), format_interval_of(bar.low, bar.high, plot.kind))
            for bar in plot.bars
        ),
    )


@figures.register
def _of_stacked_bars(plot: StackedBarPlot) -> Table:
    return Table(
        columns=("", "part", plot.value_label, "share"),
        rows=tuple(
            (
                bar.name,
                name,
                format_value(value, plot.kind),
                f"{100 * value / total:.1f} %" if (total := sum(bar.parts.values())) else "",
            )
            for bar in plot.bars
            for name, value in bar.parts.items()
        ),
    )


@figures.register
def _of_distribution(plot: Distribution) -> Table:
    shares = {"minimum": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "maximum": 1.0}
    return Table(
        columns=("", "samples", *shares),
        rows=tuple(
            (
                group.name,
                f"{len(group.values):,}",
                *(format_value(quantile(group.values, share), plot.kind) for share in shares.values()),
            )
            for group in plot.groups
            if group.values
        ),
    )


@figures.register
def _of_timeline(plot: Timeline) -> Table:
    """One row for each name in each lane: how often, and how long in all."""
    rows = []
    for lane in plot.lanes:
        seconds: dict[str, list[float]] = {}
        for span in lane.spans:
            seconds.setdefault(span.name, []).append(span.end - span.begin)
        rows += [
            (lane.name, name, f"{len(each):,}", format_value(sum(each), MetricKind.SECONDS))
            for name, each in seconds.items()
        ]
    return Table(columns=("lane", "what", "times", "time"), rows=tuple(rows))
