"""The report of a gate or comparison as one HTML page: no network, no script, light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.units import MetricKind, format_quantity
from perfsuite.judge.verdict import Verdict
from perfsuite.report.dot_plot import render_dot_plot
from perfsuite.report.formats.report_format import ReportFormat
from perfsuite.report.report import Report
from perfsuite.report.template import load_template
from perfsuite.report.text import format_change, format_interval
from perfsuite.report.workload_lines import counter_lines, format_seconds, time_verdict

if TYPE_CHECKING:
    from jinja2 import Template


def render(report: Report) -> str:
    """Render the page."""
    return _template().render(report=report)


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
            "plot_workload": _plot_workload,
            "plot_null_pairs": _plot_null_pairs,
            "changed_counters": _changed_counters,
        },
    )


def _plot_workload(workload: WorkloadGateResult, tolerance: float) -> str:
    return _plot(workload.log_ratios, tolerance, time_verdict(workload))


def _plot_null_pairs(log_ratios: Sequence[float], tolerance: float) -> str:
    return _plot(log_ratios, tolerance, None)


def _plot(log_ratios: Sequence[float], tolerance: float, time: Verdict | None) -> str:
    if time is not None and time.bound is not None:
        tolerance = time.bound
    interval, estimate = (time.interval, time.estimate) if time else (None, None)
    changes = [math.expm1(ratio) for ratio in log_ratios]
    return render_dot_plot(changes, tolerance, interval, estimate)


def _changed_counters(workload: WorkloadGateResult) -> dict[str, tuple[int, int]]:
    return {name: both for name, both in workload.counters.items() if both[0] != both[1]}


def _format_signed_seconds(seconds: float) -> str:
    if not seconds:
        return "0"
    return f"{'+' if seconds > 0 else '-'}{format_quantity(abs(seconds), MetricKind.SECONDS)}"


FORMAT = ReportFormat(render, ".html")
