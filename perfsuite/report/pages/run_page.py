"""The page of one run: verdicts, rates, worker curves, samples, memory, stages, counters."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.judge.amdahl import max_speedup_without
from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.verdict import Outcome
from perfsuite.measure.measurement import Environment
from perfsuite.report.page.document import Block, Document, ItemList, Section, Table
from perfsuite.report.pages.run_plots import (
    compare_arms,
    gpu_table,
    plot_memory,
    plot_samples,
    plot_stages,
    plot_workers,
    rate_table,
)
from perfsuite.report.pages.verdicts import change_table, limit_table
from perfsuite.report.terminal.workload_name import label_of
from perfsuite.report.text import format_outcome_counts

LARGE_SHARE = 0.5  # of a call, from which a stage is worth a recommendation


def run_document(
    results: Sequence[WorkloadRunResult],
    environment: Environment,
    *,
    title: str = "Benchmark run",
    notes: Sequence[str] = (),
    more: Sequence[Section] = (),
    command: str = "",
) -> Document:
    """Make the page; `more` sections follow the verdicts, and a section without content is left out."""
    timed = [result for result in results if result.measurement.seconds_per_call]
    sections = (
        Section("Verdicts", tuple(_verdicts(results))),
        *more,
        Section("Recommendations", _items(recommendations(results))),
        Section("Workloads", (rate_table(timed),) if timed else ()),
        Section("Worker curves", plot_workers(timed)),
        Section("Arms of each test", compare_arms(timed)),
        Section("Stages", plot_stages(timed)),
        Section("Memory", plot_memory(results)),
        Section("GPU", gpu_table(results)),
        Section("Samples", plot_samples(timed), is_folded=len(timed) > 3),
        Section("Counters", _counters(results), is_folded=True),
    )
    return Document(
        stem="run",
        title=title,
        summary=(_headline(results), *notes),
        sections=sections,
        environment=environment,
        command=command,
    )


def recommendations(results: Sequence[WorkloadRunResult]) -> list[str]:
    """What to look at: limits that do not hold, then stages that take most of a call."""
    lines = [
        f"{' against '.join(label_of(name) for name in (verdict.workload, verdict.reference) if name)}: "
        f"{verdict.metric} is {verdict.outcome}: {verdict.reason}"
        for result in results
        for verdict in result.limits
        if verdict.outcome in (Outcome.BROKEN, Outcome.UNCLEAR, Outcome.ERROR)
    ]
    for result in results:
        stages = result.measurement.seconds_per_call_by_stage
        total = sum(stages.values())
        name = max(stages, key=lambda each: stages[each], default="")
        if name and len(stages) > 1 and stages[name] >= LARGE_SHARE * total:
            share = stages[name] / total
            lines.append(
                f"{label_of(result.measurement.name)}: {name} takes {share:.0%} of its stages; without it "
                f"they are at most {max_speedup_without(share):.1f} times as fast"
            )
    return lines


def _headline(results: Sequence[WorkloadRunResult]) -> str:
    verdicts = [verdict for result in results for verdict in (*result.limits, *result.changes)]
    count = f"{len(results)} workload{'s' * (len(results) != 1)}"
    return f"{count}: {format_outcome_counts(verdicts)}" if verdicts else f"{count}, no limit judged"


def _verdicts(results: Sequence[WorkloadRunResult]) -> list[Block]:
    limits = [verdict for result in results for verdict in result.limits]
    changes = [verdict for result in results for verdict in result.changes]
    aims = [verdict for result in results for verdict in result.aims]
    blocks: list[Block] = [limit_table(limits, "Limits")] * bool(limits)
    blocks += [change_table(changes, "Changes against the reference")] * bool(changes)
    return blocks + [limit_table(aims, "Aims, which decide nothing")] * bool(aims)


def _items(lines: list[str]) -> tuple[Block, ...]:
    return (ItemList(tuple(lines)),) if lines else ()


def _counters(results: Sequence[WorkloadRunResult]) -> tuple[Block, ...]:
    rows = tuple(
        (label_of(result.measurement.name), name, f"{value:,}")
        for result in results
        for name, value in sorted(result.measurement.counters.items())
    )
    return (Table(columns=("workload", "counter", "per call"), rows=rows),) if rows else ()
