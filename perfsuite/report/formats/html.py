"""One self-contained HTML page: no network, no script, light and dark."""

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
from perfsuite.report.text import escape_lines, format_change, format_interval
from perfsuite.report.workload_lines import counter_lines, format_seconds

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "report.html.jinja"  # in report/templates/, beside its stylesheet


def render(report: Report) -> str:
    """Render the page."""
    return _load_template().render(report=report)


@cache
def _load_template() -> Template:
    # jinja2 takes a tenth of a second to import, and most commands write no HTML.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("perfsuite.report"),
        autoescape=True,
        finalize=_escape_controls,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "change": format_change,
        "interval": format_interval,
        "seconds": lambda seconds: format_quantity(seconds, MetricKind.SECONDS),
        "signed_seconds": _format_signed_seconds,
        "seconds_of_sides": format_seconds,
        "counter_lines": counter_lines,
    }
    environment.globals |= {
        "plot_workload": _plot_workload,
        "plot_null_pairs": _plot_null_pairs,
        "changed_counters": _changed_counters,
    }
    return environment.get_template(TEMPLATE)


def _escape_controls(value: object) -> object:
    """Escape the control characters of every value that the template prints; autoescape does the HTML."""
    return escape_lines(value) if type(value) is str else value


def _plot_workload(workload: WorkloadGateResult, tolerance: float) -> str:
    time = next((verdict for verdict in workload.verdicts if verdict.metric == "time"), None)
    return _plot(workload.log_ratios, tolerance, time)


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
