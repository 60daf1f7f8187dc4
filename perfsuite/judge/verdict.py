"""Verdicts, their outcomes, and the one severity order of outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from perfsuite.errors import ExitCode


class Outcome(StrEnum):
    KEPT = "kept"
    REGRESSED = "regressed"
    IMPROVED = "improved"
    BROKEN = "broken"  # a limit
    UNCLEAR = "unclear"
    MISSING = "missing"
    NEW = "new"
    ERROR = "error"
    QUARANTINED = "quarantined"  # red or unclear, and exempt by the project's settings until a date
    VARIES = "varies"  # a counter that differs between equal calls or processes: shown, does not gate


# The worst first. The order agrees with `exit_code`: 1 before 12 before 10 before 0. A quarantined finding
# may hide a red one, so it comes before the green ones.
SEVERITY = (
    Outcome.REGRESSED,
    Outcome.BROKEN,
    Outcome.ERROR,
    Outcome.MISSING,
    Outcome.UNCLEAR,
    Outcome.QUARANTINED,
    Outcome.IMPROVED,
    Outcome.NEW,
    Outcome.KEPT,
    Outcome.VARIES,  # the last, so that a workload that is kept stays kept
)

_RED = frozenset({Outcome.REGRESSED, Outcome.BROKEN, Outcome.ERROR, Outcome.MISSING})
_GREEN = frozenset({Outcome.KEPT, Outcome.IMPROVED, Outcome.NEW, Outcome.QUARANTINED, Outcome.VARIES})


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval: it contains the true value with probability `level`."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgment of one metric of one workload. A change of +0.05 is 5 % slower (or more)."""

    workload: str  # or the test, file or shard that was not compared
    metric: str  # "time", "images_per_second", "overhead", or the name of a counter
    outcome: Outcome
    reason: str
    estimate: float | None = None
    interval: Interval | None = None
    bound: float | None = None  # the limit or tolerance that applied
    mde: float | None = None  # minimum detectable effect
    missing_pairs: int | None = None  # further pairs of a gate that would decide it, if like those so far
    reference: str = ""  # the workload that a ratio of two is measured against
    evidence: str = ""  # of a counter, beside the change that is its reason: "the same in 10 pairs"

    @property
    def explanation(self) -> str:
        """The reason and its evidence."""
        return f"{self.reason}, {self.evidence}" if self.evidence else self.reason

    @property
    def is_red(self) -> bool:
        return self.outcome in _RED

    @property
    def is_green(self) -> bool:
        return self.outcome in _GREEN

    @property
    def change(self) -> float | None:
        """The change as a ratio minus one; None for a limit, whose estimate is a value of its metric.

        >>> Verdict("t", "peak_memory", Outcome.BROKEN, "", estimate=4e9, bound=1e9).change
        """
        is_limit = self.metric != "time" and self.bound is not None
        return None if is_limit else self.estimate


def severity(outcome: Outcome) -> int:
    """The rank of an outcome; 0 is the worst.

    >>> severity(Outcome.REGRESSED) < severity(Outcome.UNCLEAR) < severity(Outcome.KEPT)
    True
    """
    return SEVERITY.index(outcome)


def sort_by_severity(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Sort verdicts: the worst first, then the largest change, then by name."""
    return sorted(verdicts, key=severity_key)


def severity_key(verdict: Verdict) -> tuple[int, float, str]:
    """The sort key of a verdict in every report."""
    return severity(verdict.outcome), -abs(verdict.change or 0.0), verdict.workload


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The first of `sort_by_severity`."""
    return min(verdicts, key=severity_key)


def count_by_outcome(verdicts: Iterable[Verdict]) -> dict[Outcome, int]:
    """Number of verdicts of each outcome that occurs, the worst first.

    >>> count_by_outcome([Verdict("a", "time", Outcome.KEPT, ""), Verdict("b", "time", Outcome.NEW, "")])
    {<Outcome.NEW: 'new'>: 1, <Outcome.KEPT: 'kept'>: 1}
    """
    counts = Counter(verdict.outcome for verdict in verdicts)
    return {outcome: counts[outcome] for outcome in SEVERITY if counts[outcome]}


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """The exit code of the worst verdict. Comparing nothing is never green.

    >>> exit_code([])
    <ExitCode.NOT_COMPARED: 12>
    """
    outcomes = {verdict.outcome for verdict in verdicts}
    if outcomes & {Outcome.REGRESSED, Outcome.BROKEN}:
        return ExitCode.REGRESSED
    if not outcomes - {Outcome.NEW, Outcome.VARIES} or outcomes & {Outcome.MISSING, Outcome.ERROR}:
        return ExitCode.NOT_COMPARED
    if Outcome.UNCLEAR in outcomes:
        return ExitCode.UNCLEAR
    return ExitCode.KEPT
