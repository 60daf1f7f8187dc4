"""Which commit made a benchmark slower: the gate's rule, in the fewest gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from perfsuite.errors import NothingMeasuredError, UsageError
from perfsuite.gate.arms import Repository, git
from perfsuite.gate.gate import Tell, gate
from perfsuite.gate.settings import Settings
from perfsuite.judge.gated import GateReport
from perfsuite.judge.verdict import Outcome


class Answer(StrEnum):
    """What a gate of `good` against one commit says."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"  # unclear, or it does not run there


@dataclass(frozen=True, slots=True)
class Found:
    """The commits that may have done it: one where every gate gave an answer."""

    suspects: tuple[str, ...]
    gates: int


def search(commits: Sequence[str], ask: Callable[[str], Answer]) -> Found:
    """The first bad of `commits`, whose last is bad; each question halves them.

    >>> search("abcdefgh", lambda commit: Answer.BAD if commit >= "f" else Answer.GOOD)
    Found(suspects=('f',), gates=3)
    """
    low, high, gates = -1, len(commits) - 1, 0  # commits[low] is good, commits[high] is bad
    unknown: set[int] = set()
    while open_ := [place for place in range(low + 1, high) if place not in unknown]:
        middle = (low + high) / 2
        place = min(open_, key=lambda candidate: abs(candidate - middle))
        gates += 1
        answer = ask(commits[place])
        if answer is Answer.BAD:
            high = place
        elif answer is Answer.GOOD:
            low = place
        else:
            unknown.add(place)
    return Found(tuple(commits[low + 1 : high + 1]), gates)


def bisect(settings: Settings, good: str, bad: str, here: Path, tell: Tell) -> tuple[Found, GateReport]:
    """Gate good against bad first; then half of what was found there is the line between good and bad."""
    repository = Repository.at(here)
    first, last = repository.commit(good), repository.commit(bad)
    commits = commits_between(repository, first, last)
    asked = replace(settings, base=first)
    tell(f"{len(commits)} commits from {good} to {bad}; first whether the two differ at all")
    whole = _uninterrupted(gate(replace(asked, head=last), here, tell=tell))
    if whole.count(Outcome.REGRESSED) == 0:
        raise NothingMeasuredError(
            f"{good} against {bad}: {whole.headline}, expected a regression; name other ends, or --max-pairs"
        )
    narrowed = narrow(asked, whole)
    known: dict[str, Answer] = {}

    def ask(commit: str) -> Answer:
        tell(f"asking {commit[:12]} {repository.subject(commit)}")
        found = answer(_uninterrupted(gate(replace(narrowed, head=commit), here, tell=tell)))
        tell(f"{commit[:12]} is {found}")
        known[commit] = found
        return found

    try:
        found = search(commits, ask)
    except KeyboardInterrupt:
        left = still_suspect(commits, known)
        tell(f"interrupted; {len(left)} commits are left, {left[0][:12]} to {left[-1][:12]}")
        raise
    return Found(found.suspects, found.gates + 1), whole


def still_suspect(commits: Sequence[str], known: Mapping[str, Answer]) -> Sequence[str]:
    """From the last that is known to be good to the first that is known to be bad.

    >>> still_suspect("abcde", {"b": Answer.GOOD, "d": Answer.BAD})
    'cd'
    """
    answers = [known.get(commit) for commit in commits]
    low = max((place + 1 for place, answer in enumerate(answers) if answer is Answer.GOOD), default=0)
    high = min(
        (place for place, answer in enumerate(answers) if answer is Answer.BAD), default=len(commits) - 1
    )
    return commits[low : high + 1]


def _uninterrupted(report: GateReport) -> GateReport:
    if report.interrupted:
        raise KeyboardInterrupt
    return report


def narrow(settings: Settings, whole: GateReport) -> Settings:
    """Between good and bad lies half of the slowdown; a counter needs no such line."""
    slower = [
        verdict.estimate
        for verdict in whole.verdicts
        if verdict.metric == "time" and verdict.outcome is Outcome.REGRESSED and verdict.estimate
    ]
    if not slower:
        return settings
    return replace(settings, tolerance=max(settings.tolerance, min(slower) / 2), mde=max(slower))


def answer(report: GateReport) -> Answer:
    """Unclear, missing or in error is no answer."""
    if report.count(Outcome.REGRESSED):
        return Answer.BAD
    outcomes = {found.outcome for found in report.workloads}
    fine = {Outcome.KEPT, Outcome.IMPROVED}
    return Answer.GOOD if outcomes and outcomes <= fine and not report.unfit else Answer.UNKNOWN


def commits_between(repository: Repository, good: str, bad: str) -> tuple[str, ...]:
    """Oldest first, along the first parents: a merge counts as one change."""
    told = git(
        repository.root, "rev-list", "--reverse", "--first-parent", f"{good}..{bad}", who=f"{good}..{bad}"
    )
    commits = tuple(told.split())
    if not commits:
        raise UsageError(f"{good[:12]}..{bad[:12]}: no commit in between, expected bad to come after good")
    return commits
