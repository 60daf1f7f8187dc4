"""The page of a comparison of stored runs."""

from __future__ import annotations

from collections.abc import Iterable

from perfsuite.judge.verdict import Verdict
from perfsuite.report.page.document import Document, ItemList, Section
from perfsuite.report.page.plots import Bar, BarPlot
from perfsuite.report.page.quantities import PercentKind
from perfsuite.report.pages.verdicts import change_table
from perfsuite.report.report import Report

MAX_BARS = 60


def comparison_document(report: Report, command: str = "") -> Document:
    """Make the page from the report that the terminal shows."""
    sections = [
        Section("Verdicts", (change_table(report.verdicts),)),
        Section("Changes", _plot_changes(report.verdicts)),
        Section("Notes", (ItemList(report.all_notes),) if report.all_notes else ()),
    ]
    return Document(
        stem=report.file_stem,
        title=report.title,
        summary=(report.headline, *map(str, report.sides), *report.certainty),
        sections=tuple(sections),
        environment=report.environment,
        command=command,
    )


def _plot_changes(verdicts: Iterable[Verdict]) -> tuple[BarPlot, ...]:
    bars = tuple(
        Bar(
            verdict.workload,
            verdict.estimate,
            verdict.interval.low if verdict.interval else None,
            verdict.interval.high if verdict.interval else None,
        )
        for verdict in verdicts
        if verdict.metric == "time" and verdict.estimate is not None
    )
    if not bars:
        return ()
    return (
        BarPlot(
            title="Change of time",
            value_label="B over A",
            bars=bars[:MAX_BARS],
            kind=PercentKind.CHANGE,
            caption="More is slower. The worst verdicts come first.",
        ),
    )
