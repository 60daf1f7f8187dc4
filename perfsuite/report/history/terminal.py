"""The history on a terminal: a line for each benchmark, then what became slower lately, the worst last."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from itertools import groupby

from rich.cells import cell_len
from rich.text import Text

from perfsuite.judge.history.drift import Drift
from perfsuite.judge.history.trend import Trend
from perfsuite.report.history.sparkline import render_sparkline
from perfsuite.report.history.words import (
    HistoryReport,
    describe_creep,
    describe_event,
    describe_last,
    newest_time,
)
from perfsuite.report.terminal.text_console import text_console
from perfsuite.report.terminal.workload_name import parse_workload_name, shorten
from perfsuite.report.text import escape_control_characters

SPARKLINE_WIDTH = 16
WORDS_WIDTH = 28
TIME_WIDTH = 8
GAP = "  "
MIN_NAME_WIDTH = 20


def render_history(report: HistoryReport, width: int, color: bool) -> str:
    """Render one environment at a width of at least 80 columns."""
    stream = StringIO()
    console = text_console(stream, width, color=color)
    lines = (*_header_lines(report), *_table_lines(report, width), *_attention_lines(report))
    for line in lines:
        console.print(line, overflow="fold")
    return stream.getvalue()


def _header_lines(report: HistoryReport) -> Iterable[Text]:
    history = report.history
    facts = report.environment.hard.values() if report.environment else ()
    described = ", ".join(value for value in facts if value not in ("none", "0", "off"))
    yield Text(escape_control_characters(f"environment {history.fingerprint}  {described}".rstrip()), "bold")
    dirty = f", {history.dirty_runs} runs of uncommitted changes left out" if history.dirty_runs else ""
    yield Text(f"{history.runs} runs of {len(history.commits)} commits{dirty}")
    yield Text("")


def _table_lines(report: HistoryReport, width: int) -> Iterable[Text]:
    name_width = max(MIN_NAME_WIDTH, width - SPARKLINE_WIDTH - WORDS_WIDTH - TIME_WIDTH - 3 * len(GAP) - 1)
    header = ("benchmark".ljust(name_width), "trend".ljust(SPARKLINE_WIDTH), "now".rjust(TIME_WIDTH))
    yield Text(GAP.join((*header, "last change")), "dim")
    named = [(parse_workload_name(escape_control_characters(each.workload)), each) for each in report.trends]
    for module, group in groupby(named, key=lambda pair: pair[0].module):
        yield Text(shorten(module, width), "bold")
        for name, trend in group:
            label = GAP + shorten(name.label, name_width - len(GAP))
            cells = (
                label + " " * (name_width - cell_len(label)),
                render_sparkline(trend.seconds, SPARKLINE_WIDTH).ljust(SPARKLINE_WIDTH),
                newest_time(trend).rjust(TIME_WIDTH),
            )
            words = escape_control_characters(describe_last(report, trend))
            yield Text(GAP.join((*cells, ""))) + Text(words, _style(trend))


def _attention_lines(report: HistoryReport) -> Iterable[Text]:
    slower = [trend for trend in report.by_attention if trend.slower_recently]
    yield Text("")
    for trend in reversed(slower):
        yield Text("slower  ", "bold red") + Text(escape_control_characters(trend.workload), "bold")
        for sentence in attention_sentences(report, trend):
            yield Text(f"        {escape_control_characters(sentence)}")
    yield Text(report.headline)


def attention_sentences(report: HistoryReport, trend: Trend) -> Iterable[str]:
    """What is known of a workload that became slower, and how to find the commit."""
    event = trend.last_event
    if event is not None:
        yield describe_event(report, trend, event)
        for change in trend.changes[-1:]:
            if change is event:
                cause = report.cause(trend, change)
                if link := report.links.range(cause.good.commit, cause.bad.commit):
                    yield link
    creep = describe_creep(report, trend)
    if creep and not isinstance(event, Drift):
        yield f"{creep}, which no single step shows"


def _style(trend: Trend) -> str:
    event = trend.last_event
    if trend.slower_recently:
        return "bold red"
    return "green" if event is not None and event.log_change < 0 else ""
