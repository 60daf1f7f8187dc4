"""The spread between runs, as `compare` estimated it before; see previous_rule.py.

Some effects last as long as a process, others as long as a session of the machine (an evening, say). So there
are two sources. Runs of the same code show how processes differ. The history in order of time shows how
sessions differ; it enters by successive differences, so that slow trends and code changes hardly count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import inf, pi, sqrt
from statistics import median

# Below these a spread is unknown: Student's quantile for one of 40 workloads is 44 at 2 degrees of freedom.
MIN_DEGREES_OF_FREEDOM = 4.0
MIN_SUCCESSIVE_DIFFERENCES = 5

# With fewer runs on a side, one outlier moves the center, so the spread must include past outliers in full.
# From three runs on, the center is robust to one outlier, and the spread may exclude them.
MIN_RUNS_FOR_ROBUST_CENTER = 3

_OUTLIER_DEVIATIONS = (
    4.0 * 1.4826
)  # median absolute deviations; four standard deviations of a normal variable
_MIN_VALUES_TO_TRIM = 8
_SPIKE_MARGIN = 1.5  # of the largest past spike: the next one may be larger


@dataclass(frozen=True, slots=True)
class Spread:
    """A variance of logarithms (so it is relative), with its degrees of freedom."""

    variance: float
    df: float

    @property
    def is_known(self) -> bool:
        return self.df >= MIN_DEGREES_OF_FREEDOM

    @property
    def standard_error(self) -> float:
        return sqrt(self.variance)


UNKNOWN_SPREAD = Spread(inf, 0.0)


def within_group_spread(groups: Sequence[Sequence[float]], trim: bool) -> Spread:
    """The spread of runs about the median of their group. A group is runs of the same code.

    >>> within_group_spread([[1.0, 3.0], [5.0, 5.0]], trim=False)
    Spread(variance=1.0, df=2)
    """
    repeated = [group for group in groups if len(group) > 1]
    df = sum(len(group) - 1 for group in repeated)
    residuals = [value - center for group in repeated for center in [median(group)] for value in group]
    if df == 0:
        return UNKNOWN_SPREAD
    trimmed = residuals
    if trim and df >= _MIN_VALUES_TO_TRIM:
        # From differences within a group, since residuals of small groups are often 0 by construction.
        differences = [abs(a - b) for group in repeated for a, b in combinations(group, 2)]
        limit = _threshold(median(differences) / sqrt(2))
        trimmed = [each for each in residuals if abs(each) <= limit]
    df -= len(residuals) - len(trimmed)
    return Spread(sum(r * r for r in trimmed) / df, df)


def successive_difference_spread(series: Sequence[float], trim: bool) -> Spread:
    """The spread of a series about its slowly moving level, from successive differences.

    A level shift is a change of the code, so it is left out. A spike is noise; only `trim` leaves it out.

    >>> round(successive_difference_spread([0, 1, 0, 1, 0, 1], trim=False).variance, 3)
    0.5
    """
    if len(series) <= MIN_SUCCESSIVE_DIFFERENCES:
        return UNKNOWN_SPREAD
    steps = _without_outliers(_successive_differences(series)) if trim else _without_level_shifts(series)
    count = len(steps)
    df = 2 * count * count / (3 * count - 1)  # successive differences share a run
    return Spread(sum(step * step for step in steps) / (2 * count), df)


@dataclass(frozen=True, slots=True)
class SpreadModel:
    """The spread of one workload, from the runs of two sides and of the history.

    Each tuple holds (spread of all runs, spread without outliers).

    >>> SpreadModel.from_runs([1.0, 3.0, 2.0], [1.0, 3.0, 2.0]).difference().df
    4
    """

    runs_old: int
    runs_new: int
    runs: tuple[Spread, Spread]
    sessions: tuple[Spread, Spread]
    runs_per_session: float
    largest_spike: float  # in the history: a step and its reversal

    @classmethod
    def from_runs(
        cls, old: Sequence[float], new: Sequence[float], series: Sequence[Sequence[float]] = ()
    ) -> SpreadModel:
        """Estimate from logarithms. `series` is the history in order of time, one group per code."""
        levels = [median(group) for group in series]
        groups = [old, new, *series]
        return cls(
            runs_old=len(old),
            runs_new=len(new),
            runs=(within_group_spread(groups, trim=False), within_group_spread(groups, trim=True)),
            sessions=(
                successive_difference_spread(levels, trim=False),
                successive_difference_spread(levels, trim=True),
            ),
            runs_per_session=len(series) / sum(1 / len(group) for group in series) if series else 1.0,
            largest_spike=_largest_spike(levels),
        )

    def difference(self, more: int = 0) -> Spread:
        """The spread of the difference of the sides, or its expectation after `more` runs of each."""
        runs, sessions = self.runs[self._is_robust(more)], self.sessions[self._is_robust(more)]
        if more:
            # If no code was run twice, the spread between runs is at most that between sessions.
            runs = Spread(runs.variance if runs.df else sessions.variance, runs.df + 2 * more)
        return _difference_spread(
            runs, sessions, self.runs_old + more, self.runs_new + more, self.runs_per_session
        )

    def outlier_margin(self, more: int = 0) -> float:
        """A lower bound of a significant change: one or two runs of a side may be a spike."""
        return 0.0 if self._is_robust(more) else _SPIKE_MARGIN * self.largest_spike

    def _is_robust(self, more: int) -> bool:
        return min(self.runs_old, self.runs_new) + more >= MIN_RUNS_FOR_ROBUST_CENTER


def _difference_spread(
    runs: Spread, sessions: Spread, runs_old: int, runs_new: int, runs_per_session: float
) -> Spread:
    share = 1 / runs_old + 1 / runs_new
    loss = pi / 3 if min(runs_old, runs_new) >= MIN_RUNS_FOR_ROBUST_CENTER else 1.0  # Hodges-Lehmann
    if not sessions.is_known:
        return UNKNOWN_SPREAD if runs.df == 0 else Spread(loss * share * runs.variance, runs.df)
    weight = share - 2 / runs_per_session
    if runs.df < 3 * MIN_DEGREES_OF_FREEDOM and weight <= 0:
        return Spread(
            loss * 2 * sessions.variance, sessions.df
        )  # an upper bound with many degrees of freedom
    if runs.df == 0:
        return UNKNOWN_SPREAD
    parts = (2 * sessions.variance, weight * runs.variance)
    variance, minimum = sum(parts), share * runs.variance
    if variance <= minimum:  # sessions differ no more than runs do
        return Spread(loss * minimum, runs.df)
    df = variance**2 / (parts[0] ** 2 / sessions.df + parts[1] ** 2 / runs.df)
    return Spread(loss * variance, df)


def _successive_differences(series: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(series)]


def _without_level_shifts(series: Sequence[float]) -> list[float]:
    """The steps of a series, without those to a new level."""
    steps = _successive_differences(series)
    limit = _outlier_threshold(steps)
    return [
        step
        for position, step in enumerate(steps)
        if abs(step) <= limit or _belongs_to_spike(steps, position, limit)
    ]


def _largest_spike(series: Sequence[float]) -> float:
    steps = _successive_differences(series)
    limit = _outlier_threshold(steps)
    spikes = (
        abs(step)
        for position, step in enumerate(steps)
        if abs(step) > limit and _belongs_to_spike(steps, position, limit)
    )
    return max(spikes, default=0.0)


def _belongs_to_spike(steps: Sequence[float], position: int, limit: float) -> bool:
    neighbors = (steps[other] for other in (position - 1, position + 1) if 0 <= other < len(steps))
    return any(abs(other) > limit / 2 and other * steps[position] < 0 for other in neighbors)


def _without_outliers(steps: Sequence[float]) -> list[float]:
    limit = _outlier_threshold(steps)
    return [step for step in steps if abs(step) <= limit]


def _outlier_threshold(values: Sequence[float]) -> float:
    """The absolute value beyond which a value is an outlier; infinite for too few or too equal values."""
    return _threshold(median(map(abs, values))) if len(values) >= _MIN_VALUES_TO_TRIM else inf


def _threshold(deviation: float) -> float:
    # If most values are exactly equal, the others are not outliers: they are all that is known of the spread.
    return _OUTLIER_DEVIATIONS * deviation if deviation > 0 else inf
