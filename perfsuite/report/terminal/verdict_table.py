"""A table of workloads for a terminal or a CI log: the worst first, kept ones left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.box import ASCII2
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.verdict import Outcome, severity_key
from perfsuite.report.terminal.run_table import OUTCOME_STYLES
from perfsuite.report.text import escape_control_characters, format_change, format_interval
from perfsuite.report.workload_lines import format_seconds, reason_lines, time_verdict

MAX_SIMILAR_ROWS = 3  # with the same outcome for the same reasons


def build_verdict_table(
    workloads: Iterable[WorkloadGateResult], notes: Iterable[str] = (), show_kept: bool = False
) -> RenderableType:
    """Build the table, with a row for each workload, and the notes under it."""
    rows = sorted(workloads, key=lambda each: severity_key(each.worst))
    rows = [each for each in rows if show_kept or each.outcome is not Outcome.KEPT]
    parts: list[RenderableType] = [_table(rows, show_kept)] if rows else []
    parts += [Text(f"note: {escape_control_characters(note)}", style="yellow") for note in notes]
    return Group(*parts)


def _table(rows: Sequence[WorkloadGateResult], show_kept: bool) -> Table:
    table = Table(box=ASCII2, show_edge=False, pad_edge=False, expand=False)
    table.add_column("outcome", no_wrap=True)
    table.add_column("workload", overflow="fold", ratio=1)
    table.add_column("change", justify="right", no_wrap=True)
    for (outcome, reasons), group in groupby(
        rows, key=lambda each: (each.outcome, tuple(reason_lines(each, show_kept)))
    ):
        similar = list(group)
        fits = len(similar) <= MAX_SIMILAR_ROWS + 1
        listed = similar if fits else similar[:MAX_SIMILAR_ROWS]
        for workload in listed:
            is_last = workload is listed[-1]
            table.add_row(*_cells(workload, reasons if is_last and fits else ()))
        if not fits:
            left_out = len(similar) - len(listed)
            more = f"and {left_out} more: {'; '.join(reasons)}"
            cell = Text(escape_control_characters(more), style="dim")
            table.add_row(Text(outcome.value, style=OUTCOME_STYLES[outcome]), cell, Text(""))
    return table


def _cells(workload: WorkloadGateResult, reasons: Sequence[str]) -> tuple[Text, Text, Text]:
    style = OUTCOME_STYLES[workload.outcome]
    name = Text(escape_control_characters(workload.name))
    for reason in reasons:
        name.append(f"\n{escape_control_characters(reason)}", style="dim")
    return Text(workload.outcome.value, style=style), name, _change(workload, style)


def _change(workload: WorkloadGateResult, style: str) -> Text:
    """The change of its time, with its interval and the time of both sides; else that of one counter."""
    time = time_verdict(workload)
    if time is None:
        return Text(format_change(workload.worst.estimate), style=style)
    is_worst = time.outcome is workload.outcome
    change = Text(format_change(time.estimate), style=style if is_worst else "dim")
    for line in (format_interval(time), format_seconds(workload)):
        if line:
            change.append(f"\n{line}", style="dim")
    return change
