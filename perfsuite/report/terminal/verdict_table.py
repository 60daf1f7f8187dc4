"""A table of verdicts for a terminal or a CI log: the worst first, kept ones folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.box import ASCII2
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perfsuite.judge.verdict import Outcome, Verdict, sort_by_severity
from perfsuite.report.terminal.run_table import OUTCOME_STYLES
from perfsuite.report.text import (
    escape_control_characters,
    format_change,
    format_interval,
    format_outcome_counts,
)

MAX_SIMILAR_ROWS = 3  # with the same outcome for the same reason


def build_verdict_table(
    verdicts: Sequence[Verdict], notes: Iterable[str] = (), show_kept: bool = False
) -> RenderableType:
    """Build the table, the notes under it, and a line that counts the outcomes."""
    rows = [each for each in sort_by_severity(verdicts) if show_kept or each.outcome is not Outcome.KEPT]
    parts: list[RenderableType] = [_table(rows)] if rows else []
    parts += [Text(f"note: {escape_control_characters(note)}", style="yellow") for note in notes]
    parts.append(_summary(verdicts))
    return Group(*parts)


def _table(rows: Sequence[Verdict]) -> Table:
    table = Table(box=ASCII2, show_edge=False, pad_edge=False, expand=False)
    table.add_column("outcome", no_wrap=True)
    table.add_column("workload", overflow="fold", ratio=1)
    table.add_column("change", justify="right", no_wrap=True)
    for (outcome, reason), group in groupby(rows, key=lambda each: (each.outcome, each.reason)):
        similar = list(group)
        fits = len(similar) <= MAX_SIMILAR_ROWS + 1
        listed = similar if fits else similar[:MAX_SIMILAR_ROWS]
        for verdict in listed:
            is_last = verdict is listed[-1]
            table.add_row(*_cells(verdict, reason if is_last and fits else ""))
        if not fits:
            left_out = len(similar) - len(listed)
            more = Text(f"and {left_out} more: {escape_control_characters(reason)}", style="dim")
            table.add_row(Text(outcome.value, style=OUTCOME_STYLES[outcome]), more, Text(""))
    return table


def _cells(verdict: Verdict, reason: str) -> tuple[Text, Text, Text]:
    style = OUTCOME_STYLES[verdict.outcome]
    name = Text(escape_control_characters(verdict.workload))
    if verdict.metric != "time":
        name.append(f"  {escape_control_characters(verdict.metric)}", style="bold")
    if reason:
        name.append(f"\n{escape_control_characters(reason)}", style="dim")
    change = Text(format_change(verdict.estimate), style=style)
    if verdict.interval is not None:
        change.append(f"\n{format_interval(verdict)}", style="dim")
    return Text(verdict.outcome.value, style=style), name, change


def _summary(verdicts: Sequence[Verdict]) -> Text:
    worst = sort_by_severity(verdicts)[0].outcome if verdicts else Outcome.UNCLEAR
    line = Text(format_outcome_counts(verdicts), style=OUTCOME_STYLES[worst])
    mdes = [each.mde for each in verdicts if each.outcome is Outcome.KEPT and each.mde is not None]
    if mdes:
        line.append(
            f" (kept: slowdowns of {max(mdes):.1%} and more would have been found in noise like this)",
            style="dim",
        )
    return line
