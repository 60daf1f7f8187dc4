"""The rule that `compare` used before: the planted fault of promises.py, which it must not pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, log1p
from statistics import median

from benchmarks.judge import previous_spread as spread
from benchmarks.judge.previous_spread import Spread, SpreadModel
from benchmarks.judge.student_t import student_quantile
from perfsuite.judge.verdict import Interval, Outcome, Verdict

_MAX_ADVISED_RUNS = 50


def hodges_lehmann_shift(old: Sequence[float], new: Sequence[float]) -> float:
    """The Hodges-Lehmann shift: the median of all differences between new and old.

    >>> hodges_lehmann_shift([1.0, 1.0, 9.0], [2.0, 2.0, 2.0])
    1.0
    """
    return median(after - before for before in old for after in new)


@dataclass(frozen=True, slots=True)
class SpreadRule:
    """Error rate, tolerance and sensitivity for one workload.

    >>> SpreadRule(alpha=0.01, tolerance=0.01, target_mde=0.05).judge("t", [0.0] * 4, [0.1] * 4).outcome
    <Outcome.REGRESSED: 'regressed'>
    """

    alpha: float  # probability of a false alarm
    tolerance: float
    target_mde: float
    power: float = 0.9

    @property
    def _required_mde(self) -> float:
        """The MDE that the runs must reach. A large tolerance raises it."""
        return max(self.target_mde, 2 * self.tolerance)

    def judge(
        self, name: str, old: Sequence[float], new: Sequence[float], series: Sequence[Sequence[float]] = ()
    ) -> Verdict:
        """Judge one workload, from the log medians of its runs and of the history (`series`)."""
        estimate, model = hodges_lehmann_shift(old, new), SpreadModel.from_runs(old, new, series)
        difference = model.difference()
        if not difference.is_known:
            return self._verdict(name, Outcome.UNCLEAR, _too_few_runs_reason(difference), estimate)
        margin, mde = self._margin(model), self._mde(model)
        interval = Interval(expm1(estimate - margin), _bounded_expm1(estimate + margin), 1 - 2 * self.alpha)
        outcome = self._outcome(estimate, margin, mde)
        return self._verdict(
            name, outcome, self._reason(outcome, estimate, mde, model), estimate, interval, mde
        )

    def _margin(self, model: SpreadModel, more: int = 0) -> float:
        difference = model.difference(more)
        return max(
            student_quantile(1 - self.alpha, difference.df) * difference.standard_error,
            model.outlier_margin(more),
        )

    def _mde(self, model: SpreadModel, more: int = 0) -> float:
        """The smallest slowdown that is detected with the required power."""
        difference = model.difference(more)
        beyond = student_quantile(self.power, difference.df) * difference.standard_error
        return _bounded_expm1(log1p(self.tolerance) + self._margin(model, more) + beyond)

    def _outcome(self, estimate: float, margin: float, mde: float) -> Outcome:
        if estimate - margin > log1p(self.tolerance):
            return Outcome.REGRESSED
        if estimate + margin < -log1p(self.tolerance):
            return Outcome.IMPROVED
        return Outcome.UNCLEAR if mde > self._required_mde else Outcome.KEPT

    def _reason(self, outcome: Outcome, estimate: float, mde: float, model: SpreadModel) -> str:
        beyond = f"certain beyond the tolerance of {self.tolerance:.1%}"
        if outcome is Outcome.REGRESSED:
            return f"{exp(estimate):.3f} times as long, {beyond}"
        if outcome is Outcome.IMPROVED:
            return f"{exp(-estimate):.3f} times as fast, {beyond}"
        if outcome is Outcome.KEPT:
            return f"no change; a slowdown of {mde:.1%} would have been detected"
        return f"cannot detect slowdowns below {mde:.1%}; {self._advice(model)}"

    def _advice(self, model: SpreadModel) -> str:
        for more in range(1, _MAX_ADVISED_RUNS + 1):
            if model.difference(more).is_known and self._mde(model, more) <= self._required_mde:
                runs = f"{more} more run{'s' * (more > 1)}"
                return f"take {runs} of each side to detect {self._required_mde:.1%}"
        return "runs differ too much for more runs to help: compare in turns with `perfsuite gate`"

    def _verdict(
        self,
        name: str,
        outcome: Outcome,
        reason: str,
        estimate: float,
        interval: Interval | None = None,
        mde: float | None = None,
    ) -> Verdict:
        return Verdict(
            workload=name,
            metric="time",
            outcome=outcome,
            reason=reason,
            estimate=expm1(estimate),
            interval=interval,
            bound=self.tolerance,
            mde=mde,
        )


def _too_few_runs_reason(difference: Spread) -> str:
    short = int(spread.MIN_DEGREES_OF_FREEDOM - difference.df)
    return (
        f"too few runs to estimate their spread: take {short} more run{'s' * (short > 1)} of either side "
        "(fresh processes)"
    )


def _bounded_expm1(value: float) -> float:
    return expm1(min(value, 100.0))
