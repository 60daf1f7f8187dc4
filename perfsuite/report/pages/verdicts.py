"""Verdicts as a table, the worst first, and the values of limits in their units."""

from __future__ import annotations

from collections.abc import Iterable

from perfsuite.errors import UsageError
from perfsuite.judge.metrics import find_metric
from perfsuite.judge.units import MetricKind
from perfsuite.judge.verdict import Outcome, Verdict, sort_by_severity
from perfsuite.report.page.document import Badge, Table, Tone
from perfsuite.report.page.quantities import PercentKind, PlotKind, format_interval_of, format_value

TONES = {
    Outcome.REGRESSED: Tone.BAD,
    Outcome.BROKEN: Tone.BAD,
    Outcome.ERROR: Tone.BAD,
    Outcome.MISSING: Tone.BAD,
    Outcome.UNCLEAR: Tone.UNCLEAR,
    Outcome.QUARANTINED: Tone.UNCLEAR,
    Outcome.VARIES: Tone.UNCLEAR,
    Outcome.IMPROVED: Tone.GOOD,
    Outcome.KEPT: Tone.GOOD,
    Outcome.NEW: Tone.NEW,
}


def badge(outcome: Outcome) -> Badge:
    """The outcome in its color."""
    return Badge(outcome.value, TONES[outcome])


def limit_table(verdicts: Iterable[Verdict], caption: str = "") -> Table:
    """Limits or aims: the value with its interval beside the bound."""
    return Table(
        columns=("outcome", "workload", "metric", "value", "interval", "limit", "why"),
        rows=tuple(
            (
                badge(each.outcome),
                f"{each.workload} against {each.reference}" if each.reference else each.workload,
                each.metric,
                format_value(each.estimate, kind := _kind_of(each.metric)),
                _interval(each, kind),
                format_value(each.bound, kind),
                each.reason if each.estimate is None else "",  # else the columns say it all
            )
            for each in sort_by_severity(verdicts)
        ),
        caption=caption,
    )


def change_table(verdicts: Iterable[Verdict], caption: str = "") -> Table:
    """Changes against other runs."""
    return Table(
        columns=("outcome", "workload", "metric", "change", "interval", "MDE", "why"),
        rows=tuple(
            (
                badge(each.outcome),
                each.workload,
                each.metric,
                format_value(each.change, PercentKind.CHANGE),
                _interval(each, PercentKind.CHANGE),
                format_value(each.mde, PercentKind.CHANGE).removeprefix("+"),
                each.explanation,
            )
            for each in sort_by_severity(verdicts)
        ),
        caption=caption,
    )


def _interval(verdict: Verdict, kind: PlotKind) -> str:
    return (
        ""
        if verdict.interval is None
        else format_interval_of(verdict.interval.low, verdict.interval.high, kind)
    )


def _kind_of(metric: str) -> MetricKind:
    try:
        return find_metric(metric).kind
    except UsageError:  # a metric of a command, such as a target of a sweep
        return MetricKind.NUMBER
