"""The terminal: a table with the worst first, kept workloads in one line, then how certain that is."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.text import Text

from perfsuite.report.formats.report_format import ReportFormat
from perfsuite.report.report import Report
from perfsuite.report.terminal.text_console import text_console
from perfsuite.report.terminal.verdict_table import build_verdict_table
from perfsuite.report.text import escape_control_characters


def render(report: Report, *, width: int = 80, color: bool = False, show_kept: bool = False) -> str:
    """Render the report as lines of at most `width` columns, except for its command."""
    stream = StringIO()
    console = text_console(stream, width, color=color)
    print_to_console(report, console, show_kept)
    return stream.getvalue()


def print_to_console(report: Report, console: Console, show_kept: bool = False) -> None:
    """Print the report in the width and the colors of a console."""
    for side in report.sides:
        console.print(Text(escape_control_characters(str(side)), style="dim"))
    console.print()
    console.print(build_verdict_table(report.workloads, report.all_notes, show_kept))
    for workload in sorted(report.workloads, key=lambda each: each.name):
        if stage := workload.attributed_stage:
            console.print(
                Text(escape_control_characters(f"stage that changed most: {stage} in {workload.name}"))
            )
    for step in report.first_steps:
        console.print(Text(f"first: {escape_control_characters(step)}", style="bold"))
    console.print()
    for line in report.closing:  # not wrapped: a command to copy
        console.print(Text(escape_control_characters(line)), soft_wrap=True)


FORMAT = ReportFormat(render)
