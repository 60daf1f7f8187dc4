"""A gate on the terminal: worst first, what was kept in one line, then how sure that is."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from perfsuite.judge.gated import GateReport
from perfsuite.report import verdicts
from perfsuite.report.order import printable


def show(report: GateReport, console: Console) -> None:
    """Print the whole gate."""
    for side, told in (("base", report.base), ("head", report.head)):
        console.print(Text(printable(f"{side} {told.commit[:12]} {told.label}"), style="dim"))
    console.print()
    console.print(verdicts.render(report.verdicts, notes(report)))
    for name, stage in sorted(report.moved_stages.items()):
        console.print(Text(f"stage that moved: {printable(stage)} in {printable(name)}"))
    console.print()
    for line in closing(report):
        console.print(Text(printable(line)), soft_wrap=True)


def notes(report: GateReport) -> list[str]:
    """What was not judged, and why."""
    skipped = [f"skipped on both sides: {name}: {why}" for name, why in sorted(report.skipped.items())]
    return [*skipped, *(note[:500] for note in report.notes)]


def closing(report: GateReport) -> list[str]:
    """What it means, how sure, and how to repeat it; every report ends with it."""
    return [
        f"{report.headline} ({report.pairs} pairs of processes, {report.seconds:.0f} s)",
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
