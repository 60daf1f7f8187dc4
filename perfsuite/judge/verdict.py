"""What every judge returns: an outcome, the reason, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    KEPT = "kept"
    REGRESSED = "regressed"
    IMPROVED = "improved"
    BROKEN = "broken"  # a limit
    UNCLEAR = "unclear"
    MISSING = "missing"
    NEW = "new"
    ERROR = "error"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true value lies, with the chance `level` of being right."""

    low: float
    high: float
    level: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgment of one workload. Changes are ratios less one: +0.05 is 5 % slower (or more)."""

    workload: str
    metric: str  # "time", "images_per_second", "overhead", a counter's name ...
    outcome: Outcome
    reason: str
    estimate: float | None = None
    interval: Interval | None = None
    bound: float | None = None  # the limit or tolerance it was judged against
    mde: float | None = None  # the smallest slowdown that would have been found

    @property
    def is_red(self) -> bool:
        return self.outcome in _RED

    @property
    def is_green(self) -> bool:
        return self.outcome in _GREEN


_RED = frozenset({Outcome.REGRESSED, Outcome.BROKEN, Outcome.ERROR, Outcome.MISSING})
_GREEN = frozenset({Outcome.KEPT, Outcome.IMPROVED, Outcome.NEW, Outcome.QUARANTINED})

EXIT_KEPT = 0
EXIT_REGRESSED = 1
EXIT_USAGE = 2
EXIT_INTERNAL = 3
EXIT_UNCLEAR = 10
EXIT_UNFIT = 11
EXIT_NOT_COMPARED = 12
EXIT_UNREADABLE = 13
EXIT_INTERRUPTED = 130  # as shells say it of Ctrl-C


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """The worst finding decides; having compared nothing is never green.

    >>> exit_code([])
    12
    """
    seen = {verdict.outcome for verdict in verdicts}
    if seen & {Outcome.REGRESSED, Outcome.BROKEN}:
        return EXIT_REGRESSED
    if not seen - {Outcome.NEW} or seen & {Outcome.MISSING, Outcome.ERROR}:
        return EXIT_NOT_COMPARED
    if Outcome.UNCLEAR in seen:
        return EXIT_UNCLEAR
    return EXIT_KEPT
