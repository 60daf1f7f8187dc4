"""Whether one workload changed between two sides, judged by how much runs of one code differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, log1p
from statistics import median

from perfsuite.judge import spread
from perfsuite.judge.spread import Spread, SpreadModel
from perfsuite.judge.student_t import student_quantile
from perfsuite.judge.verdict import Interval, Outcome, Verdict

_MAX_ADVISED_RUNS = 50


def hodges_lehmann_shift(old: Sequence[float], new: Sequence[float]) -> float:
    """By how much the new side is above the old one: the median of all differences (Hodges-Lehmann).

    >>> hodges_lehmann_shift([1.0, 1.0, 9.0], [2.0, 2.0, 2.0])
    1.0
    """
    return median(after - before for before in old for after in new)


@dataclass(frozen=True, slots=True)
class SpreadRule:
    """How sure, how small, how strict, for one of so many workloads.

    >>> SpreadRule(alpha=0.01, tolerance=0.01, target_mde=0.05).judge("t", [0.0] * 4, [0.1] * 4).outcome
    <Outcome.REGRESSED: 'regressed'>
    """

    alpha: float  # the chance of a false alarm
    tolerance: float
    target_mde: float
    power: float = 0.9

    @property
    def _required_mde(self) -> float:
        """What must have been visible; a tolerance near it moves it, since nothing within is ever found."""
        return max(self.target_mde, 2 * self.tolerance)

    def judge(
        self, name: str, old: Sequence[float], new: Sequence[float], series: Sequence[Sequence[float]] = ()
    ) -> Verdict:
        """One workload's verdict, from the logarithms of its runs' medians and those of the history."""
        estimate, known = hodges_lehmann_shift(old, new), SpreadModel.from_runs(old, new, series)
        found = known.difference()
        if not found.is_known:
            return self._verdict(name, Outcome.UNCLEAR, _too_few_runs_reason(found), estimate)
        margin, mde = self._margin(known), self._mde(known)
        interval = Interval(expm1(estimate - margin), _bounded_expm1(estimate + margin), 1 - 2 * self.alpha)
        outcome = self._outcome(estimate, margin, mde)
        return self._verdict(
            name, outcome, self._reason(outcome, estimate, mde, known), estimate, interval, mde
        )

    def _margin(self, known: SpreadModel, more: int = 0) -> float:
        found = known.difference(more)
        return max(
            student_quantile(1 - self.alpha, found.df) * found.standard_error, known.outlier_margin(more)
        )

    def _mde(self, known: SpreadModel, more: int = 0) -> float:
        """The smallest slowdown that is found with the wanted power."""
        found = known.difference(more)
        beyond = student_quantile(self.power, found.df) * found.standard_error
        return _bounded_expm1(log1p(self.tolerance) + self._margin(known, more) + beyond)

    def _outcome(self, estimate: float, margin: float, mde: float) -> Outcome:
        if estimate - margin > log1p(self.tolerance):
            return Outcome.REGRESSED
        if estimate + margin < -log1p(self.tolerance):
            return Outcome.IMPROVED
        return Outcome.UNCLEAR if mde > self._required_mde else Outcome.KEPT

    def _reason(self, outcome: Outcome, estimate: float, mde: float, known: SpreadModel) -> str:
        beyond = f"certain beyond the tolerance of {self.tolerance:.1%}"
        if outcome is Outcome.REGRESSED:
            return f"{exp(estimate):.3f} times as long, {beyond}"
        if outcome is Outcome.IMPROVED:
            return f"{exp(-estimate):.3f} times as fast, {beyond}"
        if outcome is Outcome.KEPT:
            return f"no change; a slowdown of {mde:.1%} would have been found"
        return f"blind to slowdowns below {mde:.1%}; {self._advice(known)}"

    def _advice(self, known: SpreadModel) -> str:
        for more in range(1, _MAX_ADVISED_RUNS + 1):
            if known.difference(more).is_known and self._mde(known, more) <= self._required_mde:
                runs = f"{more} more run{'s' * (more > 1)}"
                return f"take {runs} of each side to see {self._required_mde:.1%}"
        return "runs here differ too much for more of them to help: compare in turns with `perfsuite gate`"

    def _verdict(
        self,
        name: str,
        outcome: Outcome,
        reason: str,
        estimate: float,
        interval: Interval | None = None,
        mde: float | None = None,
    ) -> Verdict:
        return Verdict(name, "time", outcome, reason, expm1(estimate), interval, self.tolerance, mde)


def _too_few_runs_reason(found: Spread) -> str:
    short = int(spread.MIN_DEGREES_OF_FREEDOM - found.df)
    return (
        f"too few runs to know how much runs differ: take {short} more run{'s' * (short > 1)} of either side "
        "(fresh processes)"
    )


def _bounded_expm1(value: float) -> float:
    return expm1(min(value, 100.0))
