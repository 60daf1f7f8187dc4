"""The page of whole processes that were timed in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from perfsuite.advise.claims.process_times import CLOCKS, ProcessTimes
from perfsuite.judge.units import MetricKind
from perfsuite.measure.environment import detect_environment
from perfsuite.report.page.document import Document, Section, Table
from perfsuite.report.page.plots import Bar, BarPlot, Distribution, SampleGroup
from perfsuite.report.page.quantities import format_interval_of, format_value

SECONDS = MetricKind.SECONDS


def processes_document(times: Mapping[str, Sequence[ProcessTimes]], command: str = "") -> Document:
    """Make the page; commands that have not run yet are named."""
    ran = {name: taken for name, taken in times.items() if taken}
    medians = {name: median(each.real for each in taken) for name, taken in ran.items()}
    fastest = min(medians, key=lambda name: medians[name], default=None)
    headline = (
        f"{fastest} has the shortest median: {medians[fastest]:.2f} s." if fastest else "Nothing has run."
    )
    missing = [f"{name} has not run yet." for name in times if name not in ran]
    blocks = (_bars(ran), _distribution(ran), _table(ran)) if ran else ()
    return Document(
        stem="processes",
        title="Whole processes",
        summary=(headline, "Start-up and imports included; the commands took turns.", *missing),
        sections=(Section("Times", blocks),),
        environment=detect_environment(),
        command=command,
    )


def _bars(times: Mapping[str, Sequence[ProcessTimes]]) -> BarPlot:
    bars = []
    for name, taken in times.items():
        seconds = [each.real for each in taken]
        bars.append(Bar(name, median(seconds), min(seconds), max(seconds)))
    return BarPlot(
        title="Real time",
        value_label="time of a process",
        bars=tuple(bars),
        kind=SECONDS,
        caption="Medians; lines reach from the minimum to the maximum.",
    )


def _distribution(times: Mapping[str, Sequence[ProcessTimes]]) -> Distribution:
    groups = tuple(SampleGroup(name, tuple(each.real for each in taken)) for name, taken in times.items())
    return Distribution(title="Every process", value_label="real time of a process", groups=groups)


def _table(times: Mapping[str, Sequence[ProcessTimes]]) -> Table:
    rows = []
    for name, taken in times.items():
        cells: list[str] = []
        for clock in CLOCKS:
            seconds = [getattr(each, clock) for each in taken]
            interval = format_interval_of(min(seconds), max(seconds), SECONDS)
            cells += [format_value(median(seconds), SECONDS), interval]
        rows.append((name, *cells, str(len(taken))))
    columns = [column for clock in CLOCKS for column in (clock, "min to max")]
    return Table(columns=("command", *columns, "n"), rows=tuple(rows))
