"""Which verdicts keep runs from becoming a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfsuite.judge.run_table import HistoricalRun
from perfsuite.judge.stored_runs import ComparableRun, ComparisonSettings, compare_runs
from perfsuite.judge.verdict import Outcome, Verdict


def refused_verdicts(
    before: Sequence[ComparableRun],
    runs: Sequence[ComparableRun],
    history: Iterable[HistoricalRun],
    settings: ComparisonSettings | None = None,
    dropped: frozenset[str] = frozenset(),
    same_code: bool = False,
) -> list[Verdict]:
    """The verdicts against the present baseline `before` that are not green; `dropped` workloads are excused.

    What is unclear is refused, with two exceptions: runs that exclude a slowdown, and more runs of the same
    code that do not look slower. These are useful exactly while the runs are too few.
    """
    report = compare_runs(before, runs, history, settings)
    refused = [each for each in report.verdicts if not each.is_green and each.workload not in dropped]
    return [
        each for each in refused if not (_looks_no_slower(each) if same_code else _excludes_slowdown(each))
    ]


def _excludes_slowdown(verdict: Verdict) -> bool:
    interval = verdict.interval
    return (
        verdict.outcome is Outcome.UNCLEAR and interval is not None and interval.high < (verdict.bound or 0.0)
    )


def _looks_no_slower(verdict: Verdict) -> bool:
    interval = verdict.interval
    return verdict.outcome is Outcome.UNCLEAR and not (interval and interval.low > (verdict.bound or 0.0))
