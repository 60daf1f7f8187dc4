"""The history as documents: an overview of all benchmarks, and a plot and the changes of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import expm1

import numpy as np

from perfsuite.judge.history.changes import LevelChange
from perfsuite.judge.history.drift import Drift
from perfsuite.judge.history.trend import Trend
from perfsuite.judge.units import MetricKind, format_quantity
from perfsuite.report.history.words import (
    SHORT,
    HistoryReport,
    describe_creep,
    describe_last,
    newest_time,
)
from perfsuite.report.page.document import Badge, Block, Cell, Document, Link, Section, Table, Tone
from perfsuite.report.page.plots import LinePlot, LinePoint, LineSeries, PlotMark
from perfsuite.report.terminal.workload_name import label_of, parse_workload_name
from perfsuite.report.text import format_change

MAX_POINTS = 300  # of a plot; longer histories are medians of stretches, with their range as a band
MAX_MARKS = 12
ZOOMED_COMMITS = 60
LEAST_RANGE = 0.05  # of the y axis, relative to the median: less would show noise as large
PLOTS_OF_A_PAGE = 20
METHOD = (
    "A step is a new level of the times, found by the kernel change-point search of ruptures. The commits "
    "of a step contain its cause with a chance of 95 %. A drift is a steady change; no single commit is "
    "its cause. Creep is the change since the anchor that no step explains. Nothing here gates: perfsuite "
    "gate does."
)


def overview_document(
    report: HistoryReport, stem: str, address_of: Callable[[Trend], str] = lambda trend: ""
) -> Document:
    """All benchmarks in one table, and plots of those that need attention most."""
    plotted = report.by_attention[:PLOTS_OF_A_PAGE]
    left_out = len(report.trends) - len(plotted)
    note = (
        f"Plots of the {len(plotted)} benchmarks that changed most; perfsuite history --site DIR writes all."
    )
    sections = [Section("Benchmarks", (_overview_table(report, address_of), METHOD))]
    if not any(address_of(trend) for trend in report.trends):
        sections += [Section("Plots", (note,))] * (left_out > 0)
        sections += [workload_section(report, trend) for trend in plotted]
    return _document(report, stem, "History of benchmarks", report.headline, sections)


def group_document(report: HistoryReport, stem: str, title: str, trends: Sequence[Trend]) -> Document:
    """The plots and changes of some benchmarks."""
    sections = [Section("All benchmarks", (Table(columns=("",), rows=((Link("Overview", "index.html"),),)),))]
    sections += [workload_section(report, trend) for trend in trends]
    slower = sum(trend.slower_recently for trend in trends)
    headline = f"{len(trends)} benchmarks, {slower or 'none'} slower lately"
    return _document(report, stem, title, headline, sections)


def workload_section(report: HistoryReport, trend: Trend) -> Section:
    """One benchmark: the whole history, the newest commits, and what changed."""
    blocks: list[Block] = [_state(report, trend)]
    blocks.append(_plot(report, trend, 0, "All commits"))
    if len(trend.seconds) > 2 * ZOOMED_COMMITS:
        start = len(trend.seconds) - ZOOMED_COMMITS
        blocks.append(_plot(report, trend, start, f"The newest {ZOOMED_COMMITS} commits"))
    if trend.events:
        blocks.append(_changes_table(report, trend))
    return Section(label_of(trend.workload), tuple(blocks))


def _document(
    report: HistoryReport, stem: str, title: str, headline: str, sections: Sequence[Section]
) -> Document:
    history = report.history
    span = f"{history.commits[0].created_at[:10]} to {history.commits[-1].created_at[:10]}"
    dirty = f"; {history.dirty_runs} runs of uncommitted changes left out" * bool(history.dirty_runs)
    return Document(
        stem=stem,
        title=title,
        summary=(
            headline,
            f"{history.runs} runs of {len(history.commits)} commits, {span}, "
            f"environment {history.fingerprint}{dirty}",
        ),
        sections=tuple(sections),
        environment=report.environment,
        command="perfsuite history",
    )


def _overview_table(report: HistoryReport, address_of: Callable[[Trend], str]) -> Table:
    rows = []
    for trend in report.by_attention:
        name = parse_workload_name(trend.workload)
        label = f"{name.module} · {name.label}"
        address = address_of(trend)
        rows.append(
            (
                Link(label, address) if address else label,
                newest_time(trend),
                _tone(trend),
                describe_last(report, trend),
                describe_creep(report, trend),
            )
        )
    return Table(columns=("benchmark", "now", "state", "last change", "creep"), rows=tuple(rows))


def _tone(trend: Trend) -> Cell:
    if trend.slower_recently:
        return Badge("slower", Tone.BAD)
    event = trend.last_event
    if event is None:
        return Badge("steady", Tone.PLAIN)
    return Badge("faster", Tone.GOOD) if event.log_change < 0 else Badge("slower before", Tone.UNCLEAR)


def _state(report: HistoryReport, trend: Trend) -> str:
    parts = [f"{trend.workload}: {newest_time(trend)} now", describe_last(report, trend)]
    if trend.creep is not None and trend.events:
        parts.append(describe_creep(report, trend))
    if trend.creep is not None:
        parts.append(f"{format_change(trend.creep.total_change)} in all since the anchor")
    return "; ".join(parts) + "."


def _plot(report: HistoryReport, trend: Trend, start: int, title: str) -> LinePlot:
    points = _points(report, trend, start)
    levels = _level_points(trend, start)
    marks = [
        PlotMark(change.index, format_change(change.change))
        for change in trend.changes
        if change.index >= start
    ]
    return LinePlot(
        title=title,
        x_label="commit",
        y_label="time per item",
        series=(LineSeries("measured", points), LineSeries("level", levels)),
        kind=MetricKind.SECONDS,
        from_zero=False,
        y_range=_y_range(trend),
        has_bands=True,
        marks=tuple(marks[-MAX_MARKS:]),
    )


def _y_range(trend: Trend) -> tuple[float, float]:
    """One scale for both plots of a benchmark, of all its times."""
    low, high = float(trend.seconds.min()), float(trend.seconds.max())
    missing = max(0.0, LEAST_RANGE * float(np.median(trend.seconds)) - (high - low))
    return low - missing / 2, high + missing / 2


def _points(report: HistoryReport, trend: Trend, start: int) -> tuple[LinePoint, ...]:
    seconds = trend.seconds[start:]
    if len(seconds) <= MAX_POINTS:
        return tuple(
            LinePoint(start + number, float(value), name=report.commit(trend, start + number).label[:SHORT])
            for number, value in enumerate(seconds)
        )
    points = []
    for part in np.array_split(np.arange(len(seconds)), MAX_POINTS):
        values = seconds[part]
        middle = start + int(part[len(part) // 2])
        points.append(
            LinePoint(
                middle,
                float(np.median(values)),
                float(values.min()),
                float(values.max()),
                report.commit(trend, middle).label[:SHORT],
            )
        )
    return tuple(points)


def _level_points(trend: Trend, start: int) -> tuple[LinePoint, ...]:
    points = []
    ends = trend.level_ends
    for number, level in enumerate(trend.levels):
        if ends[number + 1] > start:
            points.append(LinePoint(max(start, ends[number]), level))
            points.append(LinePoint(ends[number + 1] - 1, level))
    return tuple(points)


def _changes_table(report: HistoryReport, trend: Trend) -> Table:
    rows = []
    for event in reversed(trend.events):
        rows.append(
            _drift_row(report, trend, event) if isinstance(event, Drift) else _step_row(report, trend, event)
        )
    columns = ("change", "most likely at", "date", "last good..first bad", "measured commits in it")
    return Table(columns=columns, rows=tuple(rows), caption="Changes, the newest first")


def _step_row(report: HistoryReport, trend: Trend, change: LevelChange) -> tuple[Cell, ...]:
    cause = report.cause(trend, change)
    commit_address = report.links.commit(cause.likely.commit)
    range_address = report.links.range(cause.good.commit, cause.bad.commit)
    before = trend.levels[trend.changes.index(change)]
    after = before * (1 + change.change)
    times = f"{format_quantity(before, MetricKind.SECONDS)} to {format_quantity(after, MetricKind.SECONDS)}"
    return (
        f"{format_change(change.change)}, {times}",
        Link(cause.likely.label, commit_address) if commit_address else cause.likely.label,
        cause.likely.created_at[:10],
        Link(cause.text, range_address) if range_address else cause.text,
        str(cause.measured),
    )


def _drift_row(report: HistoryReport, trend: Trend, drift: Drift) -> tuple[Cell, ...]:
    first, last = report.commit(trend, drift.first), report.commit(trend, drift.last)
    address = report.links.range(first.commit, last.commit)
    text = f"{first.label}..{last.label}"
    per_commit = expm1(drift.log_change / max(1, drift.last - drift.first))
    return (
        f"{format_change(drift.change)} drift, {100 * per_commit:+.3f} % each",
        "no single commit",
        last.created_at[:10],
        Link(text, address) if address else text,
        str(drift.last - drift.first),
    )
