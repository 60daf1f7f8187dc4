"""The table at the end of a pytest run: a line for each workload, then what needs attention, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import groupby
from textwrap import wrap

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from perfsuite.judge.metrics import Metric, find_metric
from perfsuite.judge.order_statistics import relative_half_iqr
from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.units import MetricKind, format_quantity, format_significant
from perfsuite.judge.verdict import Outcome, Verdict, severity
from perfsuite.report.terminal.text_console import text_console
from perfsuite.report.terminal.workload_name import WorkloadName, parse_workload_name, shorten
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
AIM_STYLES = {Outcome.KEPT: "green"}  # an aim that is not reached is no error
GAP = "  "
MIN_NAME_WIDTH = 26
MAX_NAME_WIDTH = 72
_NEEDS_ATTENTION = frozenset(Outcome) - {Outcome.KEPT, Outcome.NEW, Outcome.IMPROVED}


@dataclass(frozen=True, slots=True)
class _Row:
    """The cells of one workload. `limits` are its limits, its aims and the counters that changed."""

    name: WorkloadName
    rate: str
    spread: str
    change: Text
    limits: tuple[Text, ...]
    outcome: Text

    @property
    def group(self) -> tuple[str, str]:
        return self.name.module, self.name.test if self.name.arm else ""


@dataclass(frozen=True, slots=True)
class _Widths:
    """The widths of the columns in terminal cells; 0 leaves a column out."""

    name: int
    rate: int
    spread: int
    change: int
    limit: int
    table: int  # all columns together
    terminal: int


def render_run(
    results: Sequence[WorkloadRunResult],
    width: int,
    color: bool,
    columns: Sequence[str] | None = None,
    is_quiet: bool = False,
) -> str:
    """Render the table of one run, what needs attention, and a line of counts; without the table if quiet.

    `columns` are some of rate, spread, change and limits, or None for all.
    """
    stream = StringIO()
    console = text_console(stream, width, color=color)
    table = [] if is_quiet else _table_lines(results, width, columns)
    for line in (*table, *_attention_lines(results, width), _counts_line(results)):
        console.print(line, no_wrap=True, overflow="crop", crop=True)
    return stream.getvalue()


def _table_lines(
    results: Sequence[WorkloadRunResult], width: int, columns: Sequence[str] | None
) -> Iterable[Text]:
    rows = _make_rows(results)
    if columns is not None:
        rows = [_only(row, columns) for row in rows]
    widths = _column_widths(rows, width)
    yield _line(widths, Text("benchmark"), "rate".rjust(widths.rate), "±", Text("change"), Text("limit"))
    yield Text("─" * widths.table)
    module = None
    for (row_module, test), group in groupby(rows, key=lambda row: row.group):
        if row_module != module:
            yield Text(shorten(row_module, width), style="bold")
            module = row_module
        if test:
            yield Text(f"{GAP}{shorten(test, width - len(GAP))}")
        for row in group:
            yield from _row_lines(row, widths, indent=GAP * (2 if test else 1))


def _row_lines(row: _Row, widths: _Widths, indent: str) -> Iterable[Text]:
    """A workload's line, further lines for further limits, and whole lines for limits that fit no column."""
    name = Text(indent + shorten(row.name.arm or row.name.test, widths.name - len(indent)))
    in_column = [limit for limit in row.limits if cell_len(limit.plain) <= widths.limit]
    first = in_column[0] if in_column else Text("")
    yield _line(widths, name, row.rate, row.spread, row.change, first, row.outcome)
    for limit in in_column[1:]:
        yield _line(widths, Text(""), "", "", Text(""), limit)
    for limit in row.limits:
        if limit not in in_column:
            for part in wrap(limit.plain, max(10, widths.terminal - len(indent) - 4)):
                yield Text(f"{indent}    {part}", style=limit.style)


def _line(
    widths: _Widths,
    name: Text,
    rate: str,
    spread: str,
    change: Text,
    limit: Text,
    outcome: Text | None = None,
) -> Text:
    cells = [_pad(name, widths.name)]
    if widths.rate:
        cells.append(_pad(Text(rate), widths.rate))
    if widths.spread:
        cells.append(Text(spread.rjust(widths.spread)))
    if widths.change:
        cells.append(Text(" " * (widths.change - cell_len(change.plain))) + change)
    if widths.limit:
        cells.append(_pad(limit, widths.limit))
    line = Text(GAP).join([*cells, outcome or Text("")])
    line.rstrip()
    return line


def _pad(text: Text, width: int) -> Text:
    missing = width - cell_len(text.plain)
    if missing < 0:
        return Text(set_cell_size(text.plain, width), style=text.style)
    return text + Text(" " * missing)


def _column_widths(rows: Sequence[_Row], width: int) -> _Widths:
    """The name gets at least MIN_NAME_WIDTH; a limit that leaves less is not in the column."""
    rate = _width_of("rate", [row.rate for row in rows])
    spread = _width_of("±", [row.spread for row in rows])
    change = _width_of("change", [row.change.plain for row in rows])
    outcome = _widest("", (row.outcome.plain for row in rows))
    fixed = outcome + len(GAP) + sum(each + len(GAP) for each in (rate, spread, change) if each)
    room = width - fixed - MIN_NAME_WIDTH - len(GAP)
    limits = [cell_len(limit.plain) for row in rows for limit in row.limits]
    fitting = [limit for limit in limits if limit <= room]
    limit = max(max(fitting), len("limit")) if fitting else 0
    available = width - fixed - (limit + len(GAP) if limit else 0)
    wanted = _widest("benchmark", (f"{GAP}{GAP}{row.name.arm or row.name.test}" for row in rows))
    name = max(1, min(available, wanted, MAX_NAME_WIDTH))
    return _Widths(
        name=name,
        rate=rate,
        spread=spread,
        change=change,
        limit=limit,
        table=min(width, width - available + name),
        terminal=width,
    )


def _only(row: _Row, columns: Sequence[str]) -> _Row:
    """The row with these columns; the others are empty."""
    return replace(
        row,
        rate=row.rate if "rate" in columns else "",
        spread=row.spread if "spread" in columns else "",
        change=row.change if "change" in columns else Text(""),
        limits=row.limits if "limits" in columns else (),
    )


def _width_of(title: str, cells: Sequence[str]) -> int:
    """The width of a column; 0 where all of its cells are empty."""
    return _widest(title, cells) if any(cells) else 0


def _widest(title: str, cells: Iterable[str]) -> int:
    return max(cell_len(title), max((cell_len(cell) for cell in cells), default=0))


def _make_rows(results: Sequence[WorkloadRunResult]) -> list[_Row]:
    """Make the rows, module by module; rates are padded so that their numbers and units align."""
    rates = [
        format_significant(measurement.items_per_second) if measurement.seconds_per_call else ""
        for measurement in (result.measurement for result in results)
    ]
    rate_width = _widest("", rates)
    has_changes = any(result.time_change for result in results)
    rows = []
    for result, rate in zip(results, rates, strict=True):
        outcome, unit = result.outcome, escape_control_characters(result.measurement.unit)
        rows.append(
            _Row(
                name=parse_workload_name(escape_control_characters(result.measurement.name)),
                rate=f"{rate:>{rate_width}} {unit}/s" if rate else "not timed",
                spread=f"{relative_half_iqr(result.measurement.seconds_per_call):.1%}" if rate else "",
                change=_format_time_change(result.time_change) if has_changes else Text(""),
                limits=tuple(_limit_cells(result)),
                outcome=Text(str(outcome), style=OUTCOME_STYLES[outcome]) if outcome else Text(""),
            )
        )
    modules = {row.name.module: None for row in rows}  # in the order in which they first appear
    return [row for module in modules for row in rows if row.name.module == module]


def _limit_cells(result: WorkloadRunResult) -> Iterable[Text]:
    is_race = len({_reference_of(verdict) for verdict in (*result.limits, *result.aims)} - {""}) > 1
    judged = [(verdict, False) for verdict in result.limits] + [(verdict, True) for verdict in result.aims]
    for verdict, is_aim in judged:
        text = describe_limit(verdict, is_aim=is_aim)
        if is_race and (reference := _reference_of(verdict)):
            text += f" over {reference}"
        style = AIM_STYLES.get(verdict.outcome, "dim") if is_aim else OUTCOME_STYLES[verdict.outcome]
        yield Text(escape_control_characters(text), style=style)
    for verdict in result.changes:
        if verdict.metric != "time" and verdict.outcome is not Outcome.KEPT:
            text = escape_control_characters(f"{verdict.metric}: {verdict.explanation}")
            yield Text(text, style=OUTCOME_STYLES[verdict.outcome])


def describe_limit(verdict: Verdict, *, is_aim: bool = False) -> str:
    """State the measured value and the bound. The column of rates states a rate, and `x` a speed-up.

    >>> describe_limit(Verdict("w", "overhead", Outcome.KEPT, "", estimate=0.21, bound=0.3))
    'overhead 21% ≤ 30%'
    >>> describe_limit(Verdict("w", "items_per_second", Outcome.KEPT, "", bound=50), is_aim=True)
    'aim ≥ 50.0/s'
    """
    metric = find_metric(verdict.metric)
    sign = "≥" if metric.more_is_better else "≤"
    value, bound = _format(verdict.estimate, metric), _format(verdict.bound, metric)
    if metric.kind is MetricKind.RATE:
        measured = ""
    else:
        measured = value if metric.name == "speedup" else f"{verdict.metric} {value}"
    return " ".join(part for part in (measured, "aim" * is_aim, sign, bound) if part)


def _reference_of(verdict: Verdict) -> str:
    """The arm that a ratio was measured against; empty for other metrics."""
    return parse_workload_name(verdict.reference).arm


def _format(value: float | None, metric: Metric) -> str:
    if value is None:
        return "nothing"
    if metric.name in ("overhead", "overhead_share"):
        return f"{value:.0%}" if abs(value) >= 0.0995 else f"{value:.1%}"
    return format_quantity(value, metric.kind) + "x" * (metric.name == "speedup")


def _format_time_change(verdict: Verdict | None) -> Text:
    if verdict is None or verdict.estimate is None:
        return Text("-", style="dim")
    return Text(f"{verdict.estimate:+.1%}", style=OUTCOME_STYLES[verdict.outcome])


def _attention_lines(results: Sequence[WorkloadRunResult], width: int) -> Iterable[Text]:
    """Say what is wrong and what to do about it, the worst last, where the eye is."""
    found = [
        (verdict, result.measurement.name)
        for result in results
        for verdict in (*result.limits, *result.changes)
        if verdict.outcome in _NEEDS_ATTENTION and not (verdict.metric == "time" and not verdict.is_red)
    ]
    if found:
        yield Text("")
    margin = max((len(verdict.outcome) for verdict, _ in found), default=0) + len(GAP)
    for verdict, name in sorted(found, key=lambda each: -severity(each[0].outcome)):
        parsed = parse_workload_name(escape_control_characters(name))
        style = OUTCOME_STYLES[verdict.outcome]
        label = shorten(f"{parsed.module}: {parsed.label}", width - margin)
        yield Text(verdict.outcome.ljust(margin), style=style) + Text(label, style="bold")
        for line in wrap(escape_control_characters(_explain(verdict)), max(10, width - margin)):
            yield Text(" " * margin + line)


def _explain(verdict: Verdict) -> str:
    """The explanation, with the name of a changed counter. That of a limit names its metric."""
    is_counter = verdict.metric != "time" and verdict.bound is None
    return f"{verdict.metric} {verdict.explanation}" if is_counter else verdict.explanation


def _counts_line(results: Sequence[WorkloadRunResult]) -> Text:
    verdicts = [verdict for result in results for verdict in result.limits]
    counts = [f"{number} {outcome}" for outcome, number in count_limit_outcomes(verdicts).items()]
    aims = [verdict.outcome for result in results for verdict in result.aims]
    if aims:
        counts.append(f"{aims.count(Outcome.KEPT)} of {len(aims)} aims reached")
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
