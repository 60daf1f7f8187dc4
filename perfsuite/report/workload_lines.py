"""What every text format says of one workload: its time in seconds, and its counters, grouped."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.units import MetricKind, format_quantity
from perfsuite.judge.verdict import SEVERITY, Outcome, Verdict


def time_verdict(workload: WorkloadGateResult) -> Verdict | None:
    """The verdict on its time; None where it has verdicts on counters only."""
    return next((verdict for verdict in workload.verdicts if verdict.metric == "time"), None)


def format_seconds(workload: WorkloadGateResult) -> str:
    """Seconds per call of both sides; empty where it was not timed.

    >>> format_seconds(WorkloadGateResult("t", (), seconds_per_call=(0.0123, 0.0188)))
    '12.3 ms -> 18.8 ms'
    """
    if workload.seconds_per_call is None:
        return ""
    return " -> ".join(format_quantity(each, MetricKind.SECONDS) for each in workload.seconds_per_call)


def reason_lines(workload: WorkloadGateResult, show_kept: bool = False) -> list[str]:
    """The reason of its time's verdict, then a line for all counters of each outcome."""
    time = time_verdict(workload)
    lines = [] if time is None or not time.reason else [time.reason]
    if time is not None and time.outcome is not workload.outcome and lines:
        lines = [f"time {time.outcome}: {time.reason}"]
    return lines + counter_lines(workload, show_kept)


def counter_lines(workload: WorkloadGateResult, show_kept: bool = True) -> list[str]:
    """A line for all counters of each outcome, the worst first."""
    lines = []
    for outcome in SEVERITY:
        counters = [
            verdict
            for verdict in workload.verdicts
            if verdict.metric != "time" and verdict.outcome is outcome
        ]
        if counters and (show_kept or outcome is not Outcome.KEPT):
            lines.append(_counter_line(outcome, counters))
    return lines


def _counter_line(outcome: Outcome, counters: Sequence[Verdict]) -> str:
    """All counters with one outcome; evidence that they have in common is stated once.

    >>> evidence = "the same in 10 pairs"
    >>> casts = Verdict("t", "casts", Outcome.IMPROVED, "3 -> 1 (-2)", evidence=evidence)
    >>> copies = Verdict("t", "copies", Outcome.IMPROVED, "2 -> 1 (-1)", evidence=evidence)
    >>> _counter_line(Outcome.IMPROVED, [casts, copies])
    'improved: casts 3 -> 1 (-2), copies 2 -> 1 (-1); the same in 10 pairs'
    """
    evidence = counters[0].evidence
    if evidence and all(verdict.evidence == evidence for verdict in counters):
        changes = ", ".join(f"{verdict.metric} {verdict.reason}" for verdict in counters)
        return f"{outcome}: {changes}; {evidence}"
    return f"{outcome}: " + "; ".join(f"{verdict.metric} {verdict.explanation}" for verdict in counters)
