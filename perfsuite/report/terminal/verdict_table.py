"""Verdicts in a terminal or a CI log: the worst first, what was kept folded, unclear in its own color."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.box import ASCII2
from rich.console import Console, Group, RenderableType
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

MAX_SIMILAR_ROWS = 3  # of those with the same outcome for the same reason


def print_verdicts(
    verdicts: Sequence[Verdict], console: Console, warnings: Iterable[str] = (), show_kept: bool = False
) -> None:
    """Print a table of what was found, then a line that counts it all."""
    console.print(build_verdict_table(verdicts, warnings, show_kept))


def build_verdict_table(
    verdicts: Sequence[Verdict], warnings: Iterable[str] = (), show_kept: bool = False
) -> RenderableType:
    """The same as something rich can print, for who has a console already."""
    rows = [each for each in sort_by_severity(verdicts) if show_kept or each.outcome is not Outcome.KEPT]
    parts: list[RenderableType] = [_table(rows)] if rows else []
    parts += [Text(f"note: {escape_control_characters(each)}", style="yellow") for each in warnings]
    parts.append(_summary(verdicts))
    return Group(*parts)


def _table(rows: Sequence[Verdict]) -> Table:
    table = Table(box=ASCII2, show_edge=False, pad_edge=False, expand=False)
    table.add_column("outcome", no_wrap=True)
    table.add_column("workload", overflow="fold", ratio=1)
    table.add_column("change", justify="right", no_wrap=True)
    for (outcome, reason), alike in groupby(rows, key=lambda each: (each.outcome, each.reason)):
        same = list(alike)
        few = same if len(same) <= MAX_SIMILAR_ROWS + 1 else same[:MAX_SIMILAR_ROWS]
        for verdict in few:
            last = verdict is few[-1]
            table.add_row(*_cells(verdict, reason if last and len(few) == len(same) else ""))
        if len(few) < len(same):
            more = Text(f"and {len(same) - len(few)} more: {escape_control_characters(reason)}", style="dim")
            table.add_row(Text(outcome.value, style=OUTCOME_STYLES[outcome]), more, Text(""))
    return table


def _cells(verdict: Verdict, reason: str) -> tuple[Text, Text, Text]:
    metric = "" if verdict.metric == "time" else f"  {verdict.metric}"
    what = Text(escape_control_characters(verdict.workload)).append(
        escape_control_characters(metric), style="bold"
    )
    if reason:
        what.append(f"\n{escape_control_characters(reason)}", style="dim")
    numbers = Text(format_change(verdict.estimate), style=OUTCOME_STYLES[verdict.outcome])
    if verdict.interval is not None:
        numbers.append(f"\n{format_interval(verdict)}", style="dim")
    return Text(verdict.outcome.value, style=OUTCOME_STYLES[verdict.outcome]), what, numbers


def _summary(verdicts: Sequence[Verdict]) -> Text:
    worst = sort_by_severity(verdicts)[0].outcome if verdicts else Outcome.UNCLEAR
    line = Text(format_outcome_counts(verdicts), style=OUTCOME_STYLES[worst])
    blind = [each.mde for each in verdicts if each.outcome is Outcome.KEPT and each.mde is not None]
    if blind:
        line.append(f" (kept: slowdowns of {max(blind):.1%} and more would have been found)", style="dim")
    return line
