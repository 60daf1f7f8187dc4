"""How much two runs of the same code differ: learned from runs, never from the samples of one run.

A process is lucky or unlucky for its whole life, and a machine for a whole evening. So there are two sources:
runs of the same code (how processes differ) and the history in order of time (how evenings differ as well,
from neighbor to neighbor, so that slow trends and changes of the code hardly count).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import inf, pi, sqrt
from statistics import median

# Below these a spread is a guess: a Student quantile at df 2 for one of 40 workloads is 44.
MIN_DEGREES_OF_FREEDOM = 4.0
MIN_SUCCESSIVE_DIFFERENCES = 5

# With fewer runs on a side an unlucky run IS the side, and the unlucky runs of the past count in full;
# from three on the center shrugs one off, and so may the spread.
MIN_RUNS_FOR_ROBUST_CENTER = 3

_OUTLIER_DEVIATIONS = 4.0 * 1.4826  # median absolute deviations: four standard deviations of a normal
_MIN_VALUES_TO_TRIM = 8
_SPIKE_MARGIN = 1.5  # times the largest spike of the past: the next one may be larger


@dataclass(frozen=True, slots=True)
class Spread:
    """A variance (of logarithms, so: relative) and how many degrees of freedom it was learned from."""

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
    """Of single runs about the center of their group; a group is runs of the same code.

    >>> within_group_spread([[1.0, 3.0], [5.0, 5.0]], trim=False)
    Spread(variance=1.0, df=2)
    """
    repeated = [group for group in groups if len(group) > 1]
    df = sum(len(group) - 1 for group in repeated)
    residuals = [value - center for group in repeated for center in [median(group)] for value in group]
    if df == 0:
        return UNKNOWN_SPREAD
    kept = residuals
    if trim and df >= _MIN_VALUES_TO_TRIM:
        # Differences within a group, since residuals of small groups are often 0 by construction.
        apart = [abs(a - b) for group in repeated for a, b in combinations(group, 2)]
        far = _threshold(median(apart) / sqrt(2))
        kept = [each for each in residuals if abs(each) <= far]
    df -= len(residuals) - len(kept)
    return Spread(sum(r * r for r in kept) / df, df)


def successive_difference_spread(series: Sequence[float], trim: bool) -> Spread:
    """Of single members of a series about its slowly moving level, from successive differences.

    A step is a change of the code and no noise: it is left out. A spike is noise, left out only by `trim`.

    >>> round(successive_difference_spread([0, 1, 0, 1, 0, 1], trim=False).variance, 3)
    0.5
    """
    if len(series) <= MIN_SUCCESSIVE_DIFFERENCES:
        return UNKNOWN_SPREAD
    kept = _without_outliers(_successive_differences(series)) if trim else _without_level_shifts(series)
    count = len(kept)
    df = 2 * count * count / (3 * count - 1)  # neighboring differences share a run
    return Spread(sum(step * step for step in kept) / (2 * count), df)


@dataclass(frozen=True, slots=True)
class SpreadModel:
    """What the runs of two sides and of the history tell of the spread of one workload.

    Pairs are (all runs, less the outliers).

    >>> SpreadModel.from_runs([1.0, 3.0, 2.0], [1.0, 3.0, 2.0]).difference().df
    4
    """

    runs_old: int
    runs_new: int
    runs: tuple[Spread, Spread]
    sessions: tuple[Spread, Spread]
    runs_per_session: float
    largest_spike: float  # of the history: there and back again

    @classmethod
    def from_runs(
        cls, old: Sequence[float], new: Sequence[float], series: Sequence[Sequence[float]] = ()
    ) -> SpreadModel:
        """From logarithms; `series` is the history in order of time, one member for each code."""
        levels = [median(group) for group in series]
        groups = [old, new, *series]
        return cls(
            len(old),
            len(new),
            (within_group_spread(groups, trim=False), within_group_spread(groups, trim=True)),
            (
                successive_difference_spread(levels, trim=False),
                successive_difference_spread(levels, trim=True),
            ),
            len(series) / sum(1 / len(group) for group in series) if series else 1.0,
            _largest_spike(levels),
        )

    def difference(self, more: int = 0) -> Spread:
        """The spread of the difference of the two sides, or what to expect of it with `more` runs on each."""
        runs, evenings = self.runs[self._is_robust(more)], self.sessions[self._is_robust(more)]
        if more:
            # Where no code was ever run twice, runs differ at most as evenings do.
            runs = Spread(runs.variance if runs.df else evenings.variance, runs.df + 2 * more)
        return _difference_spread(
            runs, evenings, self.runs_old + more, self.runs_new + more, self.runs_per_session
        )

    def outlier_margin(self, more: int = 0) -> float:
        """What a change must exceed besides: where a side is one or two runs they may be a spike."""
        return 0.0 if self._is_robust(more) else _SPIKE_MARGIN * self.largest_spike

    def _is_robust(self, more: int) -> bool:
        return min(self.runs_old, self.runs_new) + more >= MIN_RUNS_FOR_ROBUST_CENTER


def _difference_spread(
    runs: Spread, evenings: Spread, runs_old: int, runs_new: int, runs_per_evening: float
) -> Spread:
    share = 1 / runs_old + 1 / runs_new
    loss = pi / 3 if min(runs_old, runs_new) >= MIN_RUNS_FOR_ROBUST_CENTER else 1.0  # Hodges-Lehmann
    if not evenings.is_known:
        return UNKNOWN_SPREAD if runs.df == 0 else Spread(loss * share * runs.variance, runs.df)
    weight = share - 2 / runs_per_evening
    if runs.df < 3 * MIN_DEGREES_OF_FREEDOM and weight <= 0:
        return Spread(loss * 2 * evenings.variance, evenings.df)  # an upper bound, and well known
    if runs.df == 0:
        return UNKNOWN_SPREAD
    parts = (2 * evenings.variance, weight * runs.variance)
    variance, least = sum(parts), share * runs.variance
    if variance <= least:  # evenings do not differ beyond what runs do
        return Spread(loss * least, runs.df)
    df = variance**2 / (parts[0] ** 2 / evenings.df + parts[1] ** 2 / runs.df)
    return Spread(loss * variance, df)


def _successive_differences(series: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(series)]


def _without_level_shifts(series: Sequence[float]) -> list[float]:
    """The steps of a series less those that lead to a new level and stay there."""
    steps = _successive_differences(series)
    far = _outlier_threshold(steps)
    return [
        step for place, step in enumerate(steps) if abs(step) <= far or _belongs_to_spike(steps, place, far)
    ]


def _largest_spike(series: Sequence[float]) -> float:
    steps = _successive_differences(series)
    far = _outlier_threshold(steps)
    spikes = (
        abs(step)
        for place, step in enumerate(steps)
        if abs(step) > far and _belongs_to_spike(steps, place, far)
    )
    return max(spikes, default=0.0)


def _belongs_to_spike(steps: Sequence[float], place: int, far: float) -> bool:
    around = (steps[other] for other in (place - 1, place + 1) if 0 <= other < len(steps))
    return any(abs(other) > far / 2 and other * steps[place] < 0 for other in around)


def _without_outliers(steps: Sequence[float]) -> list[float]:
    far = _outlier_threshold(steps)
    return [step for step in steps if abs(step) <= far]


def _outlier_threshold(values: Sequence[float]) -> float:
    """Beyond it a value is an outlier; infinite where so few or so equal values cannot say."""
    return _threshold(median(map(abs, values))) if len(values) >= _MIN_VALUES_TO_TRIM else inf


def _threshold(deviation: float) -> float:
    # Where most agree to the last digit the rest are not outliers but all that is known.
    return _OUTLIER_DEVIATIONS * deviation if deviation > 0 else inf
