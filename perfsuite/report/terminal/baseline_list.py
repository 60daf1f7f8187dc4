"""Accepted baselines on the terminal: the list of them, and one in detail."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, log
from statistics import median, stdev

from rich.box import ASCII2
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perfsuite.errors import redact_url
from perfsuite.report.text import escape_control_characters
from perfsuite.store.baselines import Baseline


def print_baselines(
    root: str,
    baselines: Sequence[tuple[str, Baseline]],
    damaged: Sequence[str] = (),
    console: Console | None = None,
) -> None:
    """Print a row for each baseline with its reference, and a line for each file that cannot be read."""
    console = console or Console(highlight=False)
    if not baselines and not damaged:
        console.print(
            f"{root}: no baselines yet; accept one with: perfsuite baseline accept NAME", markup=False
        )
    if baselines:
        table = _table("baseline", "workloads", "runs", "newest", "environment")
        for reference, baseline in baselines:
            table.add_row(
                Text(escape_control_characters(reference)),
                str(len(baseline.runs[-1].measurements)),
                f"{len(baseline.runs)} + {len(baseline.earlier_runs)}",
                Text(escape_control_characters(baseline.runs[-1].created_at[:10])),
                Text(escape_control_characters(_describe_environment(baseline))),
            )
        console.print(table)
    for damage in damaged:
        console.print(Text(f"unreadable: {escape_control_characters(damage)}", style="bold magenta"))


def print_baseline(baseline: Baseline, console: Console | None = None) -> None:
    """Print where a baseline comes from, its environment, and a row for each workload."""
    console = console or Console(highlight=False)
    newest = baseline.runs[-1]
    lines = [
        redact_url(f"{baseline.source}"),
        f"commit {newest.commit or 'unknown'}{' with uncommitted changes' * newest.dirty}, "
        f"{len(baseline.runs)} runs of it and {len(baseline.earlier_runs)} of earlier baselines",
        *(f"  {key}: {value}" for key, value in newest.environment.hard.items()),
    ]
    for line in lines:
        console.print(Text(escape_control_characters(line)))
    table = _table("workload", "time", "spread", "counters")
    for name in sorted(newest.measurements):
        cells = (name, *_workload_cells(baseline, name))
        table.add_row(*(Text(escape_control_characters(cell)) for cell in cells))
    console.print(table)


def _workload_cells(baseline: Baseline, name: str) -> tuple[str, str, str]:
    newest = baseline.runs[-1].measurements[name]
    seconds = [run.seconds_per_item[name] for run in baseline.runs if name in run.seconds_per_item]
    counters = str(len(newest.counters)) if newest.counters else ""
    if not seconds:
        return "", "", counters
    per = newest.unit.removesuffix("es" if newest.unit.endswith("ches") else "s")
    return (
        f"{_format_seconds(median(seconds))}/{per}",
        _format_spread([each for each in seconds if each > 0]),
        counters,
    )


def _format_spread(seconds: Sequence[float]) -> str:
    return f"{expm1(stdev(map(log, seconds))):.1%}" if len(seconds) > 1 else "one run"


def _format_seconds(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _describe_environment(baseline: Baseline) -> str:
    return ", ".join(
        value for value in baseline.environment.hard.values() if value not in ("none", "0", "off")
    )


def _table(*columns: str) -> Table:
    table = Table(box=ASCII2, show_edge=False, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if position == 0 else "right")
    return table
