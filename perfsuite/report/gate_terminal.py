"""A gate on the terminal: worst first, what was kept in one line."""

from __future__ import annotations

from perfsuite.judge.gated import Gated, GateReport
from perfsuite.judge.verdict import Outcome, Verdict

MARKS = {
    Outcome.REGRESSED: "✗",
    Outcome.BROKEN: "✗",
    Outcome.ERROR: "!",
    Outcome.MISSING: "!",
    Outcome.UNCLEAR: "?",
    Outcome.QUARANTINED: "~",
    Outcome.IMPROVED: "+",
    Outcome.NEW: "*",
    Outcome.KEPT: "✓",
}


def change(verdict: Verdict) -> str:
    """An estimate with its sign.

    >>> change(Verdict("t", "time", Outcome.KEPT, "", estimate=0.0123))
    '+1.2 %'
    """
    return "" if verdict.estimate is None else f"{100 * verdict.estimate:+.1f} %"


def spoken(seconds: float) -> str:
    """Seconds in the unit that reads best.

    >>> spoken(0.00123)
    '1.23 ms'
    """
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def table(report: GateReport) -> str:
    """The whole gate as lines of text."""
    lines = [
        f"base {report.base.commit[:12]} {report.base.label}",
        f"head {report.head.commit[:12]} {report.head.label}",
        "",
    ]
    shown = [found for found in report.worst_first if found.outcome is not Outcome.KEPT]
    for found in shown:
        lines += _rows(found)
    lines += _kept([found for found in report.workloads if found.outcome is Outcome.KEPT])
    lines += [f"  - skipped: {name}: {reason}" for name, reason in sorted(report.skipped.items())]
    lines += [f"note: {note}" for note in report.notes]
    lines += ["", *closing(report)]
    return "\n".join(lines)


def _rows(found: Gated) -> list[str]:
    rows = [f"{MARKS[found.outcome]} {found.name}"]
    for verdict in found.verdicts:
        if verdict.outcome is Outcome.KEPT:
            continue
        stage = f"; stage: {found.moved_stage}" if verdict.metric == "time" and found.moved_stage else ""
        rows.append(
            f"    {verdict.outcome:<10} {verdict.metric:<12} {change(verdict):>9}  {verdict.reason}{stage}"
        )
    return rows


def _kept(kept: list[Gated]) -> list[str]:
    if not kept:
        return []
    largest = max((v.mde for f in kept for v in f.verdicts if v.mde is not None), default=None)
    seen = "" if largest is None else f"; slowdowns from {100 * largest:.1f} % would have been found in each"
    return [f"{MARKS[Outcome.KEPT]} {len(kept)} kept{seen}"]


def closing(report: GateReport) -> list[str]:
    """What it means, how sure, and how to repeat it."""
    return [
        f"{report.headline} ({report.pairs} pairs, {report.seconds:.0f} s)",
        f"chance of any false alarm in this gate: at most {100 * report.alpha:g} %",
        null_line(report),
        f"again: {report.command}",
    ]


def null_line(report: GateReport) -> str:
    if report.unfit:
        return f"machine unfit: base differed from base in {', '.join(report.unfit)}; no time was judged"
    pairs = max((len(seen) for seen in report.null_log_ratios.values()), default=0)
    if not pairs:
        return "the machine was not tested: no null pair was run"
    return f"machine: base agreed with base in {pairs} null pairs of {len(report.null_log_ratios)} workloads"
