"""The table at the end of a pytest run: rate, spread, limits and change of each workload."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perfsuite.judge.metrics import find_metric
from perfsuite.judge.order_statistics import relative_half_iqr
from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.units import MetricKind, format_quantity, format_significant
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report.text import escape_control_characters

OUTCOME_STYLES = {
    Outcome.KEPT: "green",
    Outcome.IMPROVED: "bold green",
    Outcome.NEW: "cyan",
    Outcome.UNCLEAR: "bold magenta",
    Outcome.QUARANTINED: "yellow",
    Outcome.VARIES: "yellow",
    Outcome.BROKEN: "bold red",
    Outcome.REGRESSED: "bold red",
    Outcome.MISSING: "bold red",
    Outcome.ERROR: "bold red",
}
COLUMN_GAP = 2
MIN_NAME_WIDTH = 40  # columns that a name gets before limits get a column of their own
_BREAKS_AFTER = re.compile(r"(?<=[ \-/,.=:\[\]])")


@dataclass(frozen=True, slots=True)
class _Row:
    """The cells of one workload; `limits` has a line for each limit and each counter that changed."""

    name: str
    rate: str
    spread: str
    change: Text
    outcome: Text
    limits: tuple[Text, ...]


def render_run(results: Sequence[WorkloadRunResult], width: int, color: bool) -> str:
    """Render the table of one run, and a line of counts under it."""
    stream = StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        no_color=not color,
        highlight=False,
        legacy_windows=False,
    )
    console.print(_build_table(results, width))
    console.print(_counts_line(results))
    return stream.getvalue()


def _build_table(results: Sequence[WorkloadRunResult], width: int) -> Table:
    has_changes = any(result.time_change for result in results)
    modules, rows = _make_rows(results)
    fixed = [max(len("rate"), _width(row.rate for row in rows)), _width(row.spread for row in rows)]
    fixed += [max(len("change"), _width(row.change.plain for row in rows))] if has_changes else []
    fixed.append(_width(row.outcome.plain for row in rows))
    name_width = width - sum(fixed) - COLUMN_GAP * len(fixed)
    limit_width = _width(line.plain for row in rows for line in row.limits)
    wide_name_width = name_width - limit_width - COLUMN_GAP
    has_limit_column = limit_width > 0 and wide_name_width >= MIN_NAME_WIDTH

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, COLUMN_GAP - 1, 0, 0))
    table.add_column("benchmark", overflow="fold")
    table.add_column("rate", no_wrap=True)
    table.add_column("±", justify="right", no_wrap=True)
    if has_changes:
        table.add_column("change", justify="right", no_wrap=True)
    if has_limit_column:
        table.add_column("limit", no_wrap=True)
    table.add_column("", no_wrap=True)

    width_of_names = max(wide_name_width if has_limit_column else name_width, 1)
    previous_module = None
    for module, row in zip(modules, rows, strict=True):
        if module != previous_module:
            table.add_row(Text("\n".join(wrap_name(module, width_of_names)), style="bold"))
            previous_module = module
        name = Text("\n".join(f"  {line}" for line in wrap_name(row.name, width_of_names - 2)))
        cells = [name, Text(row.rate), Text(row.spread)]
        cells += [row.change] if has_changes else []
        if has_limit_column:
            cells.append(Text("\n").join(row.limits))
        else:
            for limit in row.limits:
                lines = wrap_name(limit.plain, width_of_names - 6)
                name.append("\n    " + "\n      ".join(lines), style=limit.style)
        table.add_row(*cells, row.outcome)
    return table


def _make_rows(results: Sequence[WorkloadRunResult]) -> tuple[list[str], list[_Row]]:
    """Make the rows and the module of each; rates are padded so that their numbers and units align."""
    rates = [format_significant(result.measurement.items_per_second) for result in results]
    rate_width = _width(rates)
    modules, rows = [], []
    for result, rate in zip(results, rates, strict=True):
        module, name = split_node_id(escape_control_characters(result.measurement.name))
        outcome = result.outcome
        modules.append(module)
        rows.append(
            _Row(
                name=name,
                rate=f"{rate:>{rate_width}} {escape_control_characters(result.measurement.unit)}/s",
                spread=f"{relative_half_iqr(result.measurement.seconds_per_call):.1%}",
                change=_format_time_change(result.time_change),
                outcome=Text(str(outcome), style=OUTCOME_STYLES[outcome])
                if outcome
                else Text("measured", style="dim"),
                limits=tuple(_limit_lines(result)),
            )
        )
    return modules, rows


def _limit_lines(result: WorkloadRunResult) -> Iterable[Text]:
    for verdict in result.limits:
        text = escape_control_characters(describe_limit(verdict))
        yield Text(text, style=OUTCOME_STYLES[verdict.outcome])
    for verdict in result.changes:
        if verdict.metric != "time" and verdict.outcome is not Outcome.KEPT:
            text = escape_control_characters(f"{verdict.metric}: {verdict.reason}")
            yield Text(text, style=OUTCOME_STYLES[verdict.outcome])


def _width(cells: Iterable[str]) -> int:
    return max((cell_len(cell) for cell in cells), default=0)


def wrap_name(name: str, width: int) -> list[str]:
    """Wrap a name between its words and parameters; only a word wider than a line is cut.

    >>> wrap_name("fast folder[moderate-threads-64]", 18)
    ['fast folder[', 'moderate-threads-', '64]']
    """
    lines = [""]
    for part in _BREAKS_AFTER.split(name):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
        while cell_len(lines[-1].rstrip()) > max(1, width):
            lines[-1:] = [lines[-1][: max(1, width)], lines[-1][max(1, width) :]]
    return [line.rstrip() for line in lines]


def split_node_id(node_id: str) -> tuple[str, str]:
    """Split a node id into its module and its test, both in words.

    >>> split_node_id("benchmarks/test_loaders.py::test_fast_folder[a_b]::ours")
    ('loaders', 'fast folder[a_b] · ours')
    """
    file, _, rest = node_id.partition("::")
    module = file.rpartition("/")[2].removesuffix(".py").removeprefix("test_")
    parts = [_as_words(part.removeprefix("test_")) for part in rest.split("::")] if rest else [module]
    return module, " · ".join(parts)


def _as_words(name: str) -> str:
    function, bracket, parameters = name.partition("[")
    return f"{function.replace('_', ' ')}{bracket}{parameters}"


def describe_limit(verdict: Verdict) -> str:
    """State the measured value and the limit.

    >>> describe_limit(Verdict("w", "overhead", Outcome.KEPT, "", estimate=0.21, bound=0.3))
    'overhead 0.21, ceiling 0.30'
    """
    kind = find_metric(verdict.metric).kind
    bound = format_quantity(verdict.bound, kind) if verdict.bound is not None else "?"
    if kind is MetricKind.RATE:
        return f"floor {bound}"
    value = format_quantity(verdict.estimate, kind) if verdict.estimate is not None else "nothing"
    if verdict.metric == "speedup":
        other = verdict.workload.rpartition(" against ")[2].rpartition("::")[2]
        return f"speedup {value} over {other}, floor {bound}"
    return f"{verdict.metric} {value}, ceiling {bound}"


def _format_time_change(verdict: Verdict | None) -> Text:
    if verdict is None or verdict.estimate is None:
        return Text("-", style="dim")
    return Text(f"{verdict.estimate:+.1%}", style=OUTCOME_STYLES[verdict.outcome])


def _counts_line(results: Sequence[WorkloadRunResult]) -> Text:
    verdicts = [verdict for result in results for verdict in result.limits]
    counts = [f"{number} {outcome}" for outcome, number in count_limit_outcomes(verdicts).items()]
    return Text(", ".join([f"{len(results)} measured", *counts]))


def count_limit_outcomes(verdicts: Iterable[Verdict]) -> Mapping[str, int]:
    """Count the limits by outcome, the worst first.

    >>> count_limit_outcomes([Verdict("w", "p95", Outcome.KEPT, "")])
    {'limit kept': 1}
    """
    outcomes = [verdict.outcome for verdict in verdicts]
    counts: dict[str, int] = {}
    for outcome in (Outcome.BROKEN, Outcome.ERROR, Outcome.UNCLEAR, Outcome.KEPT):
        if number := outcomes.count(outcome):
            counts[f"limit{'s' if number > 1 else ''} {outcome}"] = number
    return counts
