"""The table at the end of a run: rate, spread, limits, change; at 80 columns and without color too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perfsuite.judge.metrics import find_metric
from perfsuite.judge.order_statistics import relative_half_iqr
from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.units import MetricKind, format_quantity, format_significant
from perfsuite.judge.verdict import Outcome, Verdict

OUTCOME_STYLES = {
    Outcome.KEPT: "green",
    Outcome.IMPROVED: "bold green",
    Outcome.NEW: "cyan",
    Outcome.UNCLEAR: "bold magenta",
    Outcome.QUARANTINED: "yellow",
    Outcome.BROKEN: "bold red",
    Outcome.REGRESSED: "bold red",
    Outcome.MISSING: "bold red",
    Outcome.ERROR: "bold red",
}


def render_run(judged: Sequence[WorkloadRunResult], width: int, color: bool) -> str:
    """The table of one run, and a line of counts under it."""
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        no_color=not color,
        highlight=False,
        legacy_windows=False,
    )
    has_changes = any(each.time_change for each in judged)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("benchmark", overflow="fold")
    table.add_column("rate", justify="right", no_wrap=True)
    table.add_column("±", justify="right", no_wrap=True)
    if has_changes:
        table.add_column("change", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    before = None
    for each in judged:
        module, name = split_node_id(each.measurement.name)
        if module != before:
            table.add_row(Text(module, style="bold"))
            before = module
        table.add_row(*_cells(each, name, has_changes))
    console.print(table)
    console.print(_counts_line(judged))
    return out.getvalue()


def split_node_id(nodeid: str) -> tuple[str, str]:
    """The file and the rest of a node id in words, which fold between words.

    >>> split_node_id("benchmarks/test_loaders.py::test_fast_folder[a_b]::ours")
    ('loaders', 'fast folder[a_b] · ours')
    """
    file, _, rest = nodeid.partition("::")
    module = file.rpartition("/")[2].removesuffix(".py").removeprefix("test_")
    parts = [_as_words(part.removeprefix("test_")) for part in rest.split("::")] if rest else [module]
    return module, " · ".join(parts)


def _as_words(name: str) -> str:
    function, bracket, parameters = name.partition("[")
    return f"{function.replace('_', ' ')}{bracket}{parameters}"


def _cells(judged: WorkloadRunResult, name: str, has_changes: bool) -> list[Text]:
    took = judged.measurement
    title = Text(f"  {name}")
    for verdict in judged.limits:  # under the name: beside it they would not fit 80 columns
        title.append(f"\n    {describe_limit(verdict)}", style=OUTCOME_STYLES[verdict.outcome])
    for verdict in judged.changes:
        if verdict.metric != "time" and verdict.outcome is not Outcome.KEPT:
            title.append(f"\n    {verdict.metric}: {verdict.reason}", style=OUTCOME_STYLES[verdict.outcome])
    cells = [
        title,
        Text(f"{format_significant(took.items_per_second)} {took.unit}/s"),
        Text(f"{relative_half_iqr(took.seconds_per_call):.1%}"),
    ]
    if has_changes:
        cells.append(_change(judged.time_change))
    outcome = judged.outcome
    cells.append(
        Text(str(outcome), style=OUTCOME_STYLES[outcome]) if outcome else Text("measured", style="dim")
    )
    return cells


def describe_limit(verdict: Verdict) -> str:
    """What was found against what was wanted, short.

    >>> describe_limit(Verdict("w", "overhead", Outcome.KEPT, "", estimate=0.21, bound=0.3))
    'overhead 0.21, ceiling 0.30'
    """
    kind = find_metric(verdict.metric).kind
    bound = format_quantity(verdict.bound, kind) if verdict.bound is not None else "?"
    if kind is MetricKind.RATE:
        return f"floor {bound}"
    found = format_quantity(verdict.estimate, kind) if verdict.estimate is not None else "nothing"
    against = verdict.workload.rpartition(" against ")[2].rpartition("::")[2]
    if verdict.metric == "speedup":
        return f"speedup {found} over {against}, floor {bound}"
    return f"{verdict.metric} {found}, ceiling {bound}"


def _change(verdict: Verdict | None) -> Text:
    if verdict is None or verdict.estimate is None:
        return Text("-", style="dim")
    return Text(f"{verdict.estimate:+.1%}", style=OUTCOME_STYLES[verdict.outcome])


def _counts_line(judged: Sequence[WorkloadRunResult]) -> Text:
    verdicts = [verdict for each in judged for verdict in each.limits]
    told = [f"{len(judged)} measured"]
    told += [f"{number} {what}" for what, number in count_limit_outcomes(verdicts).items()]
    return Text(", ".join(told))


def count_limit_outcomes(verdicts: Iterable[Verdict]) -> Mapping[str, int]:
    """How many limits came out how, in the order in which they matter.

    >>> count_limit_outcomes([Verdict("w", "p95", Outcome.KEPT, "")])
    {'limit kept': 1}
    """
    counted: dict[str, int] = {}
    for outcome in (Outcome.BROKEN, Outcome.ERROR, Outcome.UNCLEAR, Outcome.KEPT):
        number = sum(verdict.outcome is outcome for verdict in verdicts)
        if number:
            counted[f"limit{'s' if number > 1 else ''} {outcome}"] = number
    return counted
