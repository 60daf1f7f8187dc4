"""A gate on the terminal: worst first, what was kept in one line, then how sure that is."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from perfsuite.judge.reports import GateReport
from perfsuite.report.terminal import verdict_table
from perfsuite.report.text import escape_control_characters


def print_gate(report: GateReport, console: Console) -> None:
    """Print the whole gate."""
    for side, told in (("base", report.base), ("head", report.head)):
        console.print(Text(escape_control_characters(f"{side} {told.commit[:12]} {told.label}"), style="dim"))
    console.print()
    console.print(verdict_table.build_verdict_table(report.verdicts, note_lines(report)))
    for name, stage in sorted(report.attributed_stages.items()):
        console.print(
            Text(f"stage that moved: {escape_control_characters(stage)} in {escape_control_characters(name)}")
        )
    console.print()
    for line in closing_lines(report):
        console.print(Text(escape_control_characters(line)), soft_wrap=True)


def note_lines(report: GateReport) -> list[str]:
    """What was not judged, and why."""
    skipped = [f"skipped on both sides: {name}: {why}" for name, why in sorted(report.skipped.items())]
    return [*skipped, *(note[:500] for note in report.notes)]


def closing_lines(report: GateReport) -> list[str]:
    """What it means, how sure, and how to repeat it; every report ends with it."""
    return [
        f"{report.headline} ({report.pairs} pairs of processes, {report.seconds:.0f} s)",
        f"chance of any false alarm in this gate: at most {100 * report.alpha:g} %",
        null_pairs_line(report),
        f"again: {report.command}",
    ]


def null_pairs_line(report: GateReport) -> str:
    if report.unfit:
        return f"machine unfit: base differed from base in {', '.join(report.unfit)}; no time was judged"
    pairs = max((len(seen) for seen in report.null_log_ratios.values()), default=0)
    if not pairs:
        return "the machine was not tested: no null pair was run"
    return f"machine: base agreed with base in {pairs} null pairs of {len(report.null_log_ratios)} workloads"
