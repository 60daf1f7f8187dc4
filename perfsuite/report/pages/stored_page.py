"""The page of stored runs: that of the last one, with the times of the others beside it."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.units import MetricKind
from perfsuite.judge.verdict import Verdict
from perfsuite.report.page.document import Document, Section, Table
from perfsuite.report.page.quantities import format_value
from perfsuite.report.pages.run_page import run_document
from perfsuite.report.pages.verdicts import change_table
from perfsuite.report.terminal.workload_name import label_of
from perfsuite.store.run import Run


def stored_document(
    runs: Sequence[Run], *, changes: Sequence[Verdict] = (), notes: Sequence[str] = (), command: str = ""
) -> Document:
    """Make the page of the last run; `changes` are the verdicts of a comparison with others."""
    newest = runs[-1]
    measured = set(newest.measurements)
    results = [
        WorkloadRunResult(each, changes=tuple(change for change in changes if change.workload == name))
        for name, each in newest.measurements.items()
    ]
    other = [change for change in changes if change.workload not in measured]  # missing in this run
    more = [Section("Missing", (change_table(other),))] * bool(other)
    if len(runs) > 1:
        more.append(Section("Runs", (_times(runs),)))
    return run_document(
        results,
        newest.environment,
        title=f"Run {newest.name}",
        notes=(_describe(newest), *notes),
        more=more,
        command=command,
    )


def _describe(run: Run) -> str:
    commit = run.commit[:12] or "an unknown commit"
    changes = " with uncommitted changes" * run.dirty
    incomplete = "; incomplete" * (not run.complete)
    return f"Commit {commit}{changes}, measured at {run.created_at[:16]}{incomplete}."


def _times(runs: Sequence[Run]) -> Table:
    names = list(dict.fromkeys(name for run in reversed(runs) for name in run.measurements))
    times = [run.seconds_per_item for run in runs]
    return Table(
        columns=("workload", *(f"{run.name} {run.commit[:7]}" for run in runs)),
        rows=tuple(
            (
                label_of(name),
                *(format_value(each.get(name), MetricKind.SECONDS) for each in times),
            )
            for name in names
        ),
        caption="Median time of an item; differences are not judged here, `perfsuite compare` judges them",
    )
