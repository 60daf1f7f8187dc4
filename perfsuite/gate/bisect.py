"""Which commit made a benchmark slower: the gate's rule, in the fewest gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from perfsuite.errors import NothingMeasuredError, UsageError
from perfsuite.gate.gate import OnProgress, gate
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.worktree import Repository, git_output
from perfsuite.judge.reports import GateReport
from perfsuite.judge.verdict import Outcome


class CommitStatus(StrEnum):
    """What a gate of `good` against one commit says."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"  # unclear, or it does not run there


@dataclass(frozen=True, slots=True)
class BisectResult:
    """The commits that may have done it: one where every gate gave an answer."""

    suspects: tuple[str, ...]
    gates: int


def find_first_bad(commits: Sequence[str], ask: Callable[[str], CommitStatus]) -> BisectResult:
    """The first bad of `commits`, whose last is bad; each question halves them.

    >>> find_first_bad("abcdefgh", lambda commit: CommitStatus.BAD if commit >= "f" else CommitStatus.GOOD)
    BisectResult(suspects=('f',), gates=3)
    """
    low, high, gates = -1, len(commits) - 1, 0  # commits[low] is good, commits[high] is bad
    unknown: set[int] = set()
    while open_ := [place for place in range(low + 1, high) if place not in unknown]:
        middle = (low + high) / 2
        place = min(open_, key=lambda candidate: abs(candidate - middle))
        gates += 1
        answer = ask(commits[place])
        if answer is CommitStatus.BAD:
            high = place
        elif answer is CommitStatus.GOOD:
            low = place
        else:
            unknown.add(place)
    return BisectResult(tuple(commits[low + 1 : high + 1]), gates)


def bisect(
    settings: GateSettings, good: str, bad: str, here: Path, tell: OnProgress
) -> tuple[BisectResult, GateReport]:
    """Gate good against bad first; then half of what was found there is the line between good and bad."""
    repository = Repository.at(here)
    first, last = repository.commit(good), repository.commit(bad)
    commits = commits_between(repository, first, last)
    asked = replace(settings, base=first)
    tell(f"{len(commits)} commits from {good} to {bad}; first whether the two differ at all")
    whole = _raise_if_interrupted(gate(replace(asked, head=last), here, tell=tell))
    if whole.count(Outcome.REGRESSED) == 0:
        raise NothingMeasuredError(
            f"{good} against {bad}: {whole.headline}, expected a regression; name other ends, or --max-pairs"
        )
    narrowed = narrow_settings(asked, whole)
    known: dict[str, CommitStatus] = {}

    def ask(commit: str) -> CommitStatus:
        tell(f"asking {commit[:12]} {repository.subject(commit)}")
        found = commit_status(_raise_if_interrupted(gate(replace(narrowed, head=commit), here, tell=tell)))
        tell(f"{commit[:12]} is {found}")
        known[commit] = found
        return found

    try:
        found = find_first_bad(commits, ask)
    except KeyboardInterrupt:
        left = remaining_suspects(commits, known)
        tell(f"interrupted; {len(left)} commits are left, {left[0][:12]} to {left[-1][:12]}")
        raise
    return BisectResult(found.suspects, found.gates + 1), whole


def remaining_suspects(commits: Sequence[str], known: Mapping[str, CommitStatus]) -> Sequence[str]:
    """From the last that is known to be good to the first that is known to be bad.

    >>> remaining_suspects("abcde", {"b": CommitStatus.GOOD, "d": CommitStatus.BAD})
    'cd'
    """
    answers = [known.get(commit) for commit in commits]
    low = max((place + 1 for place, answer in enumerate(answers) if answer is CommitStatus.GOOD), default=0)
    high = min(
        (place for place, answer in enumerate(answers) if answer is CommitStatus.BAD),
        default=len(commits) - 1,
    )
    return commits[low : high + 1]


def _raise_if_interrupted(report: GateReport) -> GateReport:
    if report.interrupted:
        raise KeyboardInterrupt
    return report


def narrow_settings(settings: GateSettings, whole: GateReport) -> GateSettings:
    """Between good and bad lies half of the slowdown; a counter needs no such line."""
    slower = [
        verdict.estimate
        for verdict in whole.verdicts
        if verdict.metric == "time" and verdict.outcome is Outcome.REGRESSED and verdict.estimate
    ]
    if not slower:
        return settings
    return replace(settings, tolerance=max(settings.tolerance, min(slower) / 2), mde=max(slower))


def commit_status(report: GateReport) -> CommitStatus:
    """Unclear, missing or in error is no answer."""
    if report.count(Outcome.REGRESSED):
        return CommitStatus.BAD
    outcomes = {found.outcome for found in report.workloads}
    fine = {Outcome.KEPT, Outcome.IMPROVED}
    return CommitStatus.GOOD if outcomes and outcomes <= fine and not report.unfit else CommitStatus.UNKNOWN


def commits_between(repository: Repository, good: str, bad: str) -> tuple[str, ...]:
    """Oldest first, along the first parents: a merge counts as one change."""
    told = git_output(
        repository.root, "rev-list", "--reverse", "--first-parent", f"{good}..{bad}", who=f"{good}..{bad}"
    )
    commits = tuple(told.split())
    if not commits:
        raise UsageError(f"{good[:12]}..{bad[:12]}: no commit in between, expected bad to come after good")
    return commits
