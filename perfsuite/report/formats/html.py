"""The report of a gate or comparison as one HTML page: no network, no script, light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.units import MetricKind, format_quantity
from perfsuite.report.dot_plot import NARROW, WIDE, PairPlot, axis_reach, draw_pairs
from perfsuite.report.formats.report_format import ReportFormat
from perfsuite.report.page.document import Table
from perfsuite.report.page.html import MAX_BYTES, kind_of, numeric_columns
from perfsuite.report.report import Report
from perfsuite.report.template import load_template
from perfsuite.report.text import format_change, format_interval
from perfsuite.report.workload_lines import counter_lines, format_seconds, time_verdict

if TYPE_CHECKING:
    from jinja2 import Template

_PAIRS_A_ROW = 6
# How many workloads have a plot, and how many are shown at all, tried until the page is small enough.
_SIZES_TRIED = ((100_000, 100_000), (200, 100_000), (50, 1000), (0, 200))


def render(report: Report) -> str:
    """Render the page; the least severe workloads lose their plots, then their cards, above `MAX_BYTES`."""
    reach = axis_reach(_all_plots(report))
    page = ""
    for max_plots, max_cards in _SIZES_TRIED:
        page = _template().render(report=report, reach=reach, max_plots=max_plots, max_cards=max_cards)
        if len(page.encode()) <= MAX_BYTES:
            break
    return page


@cache
def _template() -> Template:
    return load_template(
        "report.html.jinja",
        filters={
            "change": format_change,
            "interval": format_interval,
            "seconds": lambda seconds: format_quantity(seconds, MetricKind.SECONDS),
            "signed_seconds": _format_signed_seconds,
            "seconds_of_sides": format_seconds,
            "counter_lines": counter_lines,
        },
        functions={
            "workload_plot": _workload_plot,
            "null_plot": _null_plot,
            "draw_wide": lambda plot, reach: draw_pairs(plot, reach, WIDE),
            "draw_narrow": lambda plot, reach: draw_pairs(plot, reach, NARROW),
            "pair_table": _pair_table,
            "kind_of": kind_of,
            "numeric_columns": numeric_columns,
            "changed_counters": _changed_counters,
        },
    )


def _all_plots(report: Report) -> Iterator[PairPlot]:
    for workload in report.workloads:
        if workload.log_ratios:
            yield _workload_plot(workload, report.tolerance)
    for log_ratios in report.null_log_ratios.values():
        yield _null_plot(log_ratios, report.tolerance)


def _workload_plot(workload: WorkloadGateResult, tolerance: float) -> PairPlot:
    time = time_verdict(workload)
    return PairPlot(
        changes=_changes(workload.log_ratios),
        tolerance=time.bound if time is not None and time.bound is not None else tolerance,
        interval=time.interval if time else None,
        estimate=time.estimate if time else None,
    )


def _null_plot(log_ratios: Sequence[float], tolerance: float) -> PairPlot:
    return PairPlot(changes=_changes(log_ratios), tolerance=tolerance)


def _changes(log_ratios: Sequence[float]) -> tuple[float, ...]:
    return tuple(math.expm1(ratio) for ratio in log_ratios)


def _pair_table(plot: PairPlot) -> Table:
    """The changes in rows of a few pairs, so that 24 of them stay short on paper."""
    rows = []
    for start in range(0, len(plot.changes), _PAIRS_A_ROW):
        part = [format_change(change) for change in plot.changes[start : start + _PAIRS_A_ROW]]
        missing = [""] * (_PAIRS_A_ROW - len(part))
        rows.append((f"{start + 1} to {start + len(part)}", *part, *missing))
    return Table(columns=("pairs", *[""] * _PAIRS_A_ROW), rows=tuple(rows))


def _changed_counters(workload: WorkloadGateResult) -> dict[str, tuple[int, int]]:
    return {name: both for name, both in workload.counters.items() if both[0] != both[1]}


def _format_signed_seconds(seconds: float) -> str:
    if not seconds:
        return "0"
    return f"{'+' if seconds > 0 else '-'}{format_quantity(abs(seconds), MetricKind.SECONDS)}"


FORMAT = ReportFormat(render, ".html")
