"""Find the commit that made a benchmark slower, by the gate's rule and with the fewest gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from perfsuite.errors import NothingMeasuredError, UsageError
from perfsuite.gate.gate import gate
from perfsuite.gate.git import Repository, git_output
from perfsuite.gate.prepare_sides import OnProgress
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.gate_report import GateReport
from perfsuite.judge.verdict import Outcome

# Of settings, which end at 1 and at 10. A slowdown of ten times is found as well with these.
MAX_NARROWED_TOLERANCE, MAX_NARROWED_MDE = 0.9, 9.0


class CommitStatus(StrEnum):
    """The verdict of a gate of `good` against one commit."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"  # unclear, or the benchmark does not run there


@dataclass(frozen=True, slots=True)
class BisectResult:
    """The commits that may be the cause; only one where every gate gave a clear verdict."""

    suspects: tuple[str, ...]
    gates: int  # how many were run


def find_first_bad(commits: Sequence[str], judge: Callable[[str], CommitStatus]) -> BisectResult:
    """The first bad commit, where the last is bad; each call of `judge` halves the rest.

    >>> find_first_bad("abcdefgh", lambda commit: CommitStatus.BAD if commit >= "f" else CommitStatus.GOOD)
    BisectResult(suspects=('f',), gates=3)
    """
    low, high, gates = -1, len(commits) - 1, 0  # commits[low] is good, commits[high] is bad
    unknown: set[int] = set()
    while candidates := [index for index in range(low + 1, high) if index not in unknown]:
        middle = (low + high) / 2
        index = min(candidates, key=lambda candidate: abs(candidate - middle))
        gates += 1
        status = judge(commits[index])
        if status is CommitStatus.BAD:
            high = index
        elif status is CommitStatus.GOOD:
            low = index
        else:
            unknown.add(index)
    return BisectResult(tuple(commits[low + 1 : high + 1]), gates)


def bisect(
    settings: GateSettings, good: str, bad: str, here: Path, on_progress: OnProgress
) -> tuple[BisectResult, GateReport]:
    """Gate good against bad, then commits between them; half of that slowdown separates good from bad."""
    repository = Repository.at(here)
    first, last = repository.commit(good), repository.commit(bad)
    commits = commits_between(repository, first, last)
    settings = replace(settings, base=first)
    on_progress(f"{len(commits)} commits from {good} to {bad}; gating the two ends first")
    whole = _gate_commit(settings, last, here, on_progress)
    if whole.count(Outcome.REGRESSED) == 0:
        raise NothingMeasuredError(
            f"{good} against {bad}: {whole.headline}, expected a regression; name other ends, or --max-pairs"
        )
    narrowed = narrow_settings(settings, whole)
    known: dict[str, CommitStatus] = {}

    def judge(commit: str) -> CommitStatus:
        on_progress(f"gating {commit[:12]} {repository.subject(commit)}")
        known[commit] = commit_status(_gate_commit(narrowed, commit, here, on_progress))
        on_progress(f"{commit[:12]} is {known[commit]}")
        return known[commit]

    try:
        result = find_first_bad(commits, judge)
    except KeyboardInterrupt:
        suspects = remaining_suspects(commits, known)
        on_progress(
            f"interrupted; {len(suspects)} commits are left, {suspects[0][:12]} to {suspects[-1][:12]}"
        )
        raise
    return replace(result, gates=result.gates + 1), whole


def _gate_commit(settings: GateSettings, commit: str, here: Path, on_progress: OnProgress) -> GateReport:
    """Gate one commit; an interrupted gate interrupts the bisection, as its report proves nothing."""
    report = gate(replace(settings, head=commit), here, on_progress=on_progress)
    if report.interrupted:
        raise KeyboardInterrupt
    return report


def remaining_suspects(commits: Sequence[str], known: Mapping[str, CommitStatus]) -> Sequence[str]:
    """The commits after the last one known to be good, up to the first known to be bad.

    >>> remaining_suspects("abcde", {"b": CommitStatus.GOOD, "d": CommitStatus.BAD})
    'cd'
    """
    statuses = [known.get(commit) for commit in commits]
    low = max((index + 1 for index, status in enumerate(statuses) if status is CommitStatus.GOOD), default=0)
    high = min(
        (index for index, status in enumerate(statuses) if status is CommitStatus.BAD),
        default=len(commits) - 1,
    )
    return commits[low : high + 1]


def narrow_settings(settings: GateSettings, whole: GateReport) -> GateSettings:
    """Settings whose tolerance is half of the slowdown between the ends; counters need no tolerance."""
    slowdowns = [
        verdict.estimate
        for verdict in whole.verdicts
        if verdict.metric == "time" and verdict.outcome is Outcome.REGRESSED and verdict.estimate
    ]
    if not slowdowns:
        return settings
    tolerance = min(max(settings.tolerance, min(slowdowns) / 2), MAX_NARROWED_TOLERANCE)
    return replace(settings, tolerance=tolerance, mde=min(max(*slowdowns, settings.mde), MAX_NARROWED_MDE))


def commit_status(report: GateReport) -> CommitStatus:
    """Unclear, missing or in error is unknown."""
    if report.count(Outcome.REGRESSED):
        return CommitStatus.BAD
    outcomes = {workload.outcome for workload in report.workloads}
    is_good = outcomes and outcomes <= {Outcome.KEPT, Outcome.IMPROVED} and not report.unfit
    return CommitStatus.GOOD if is_good else CommitStatus.UNKNOWN


def commits_between(repository: Repository, good: str, bad: str) -> tuple[str, ...]:
    """The commits after good, up to bad, oldest first, along the first parents: a merge is one change."""
    span = f"{good}..{bad}"
    commits = tuple(
        git_output(repository.root, "rev-list", "--reverse", "--first-parent", span, who=span).split()
    )
    if not commits:
        raise UsageError(f"{good[:12]}..{bad[:12]}: no commit in between, expected bad to come after good")
    return commits
