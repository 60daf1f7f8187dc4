"""Judge the times of all workloads between two sides of stored runs, jointly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import exp, expm1, inf, log1p

import numpy as np

from perfsuite.judge.history_rank import HistoryTest, commits_needed
from perfsuite.judge.label_permutation import PermutationTest
from perfsuite.judge.run_labels import (
    FloatArray,
    are_in_turns,
    can_be_significant,
    fewest_runs_of_each_side,
)
from perfsuite.judge.verdict import Interval, Outcome, Verdict

_ADVISED_RUNS = (1, 2, 3, 5, 7, 10, 15, 20, 30)  # more runs of each side; beyond that, use the gate
_SEED = 20261128
_ADVICE_LABELINGS = 1_000  # enough for one of _ADVISED_RUNS


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Error rate, power and sensitivity of a comparison, and the tolerance of each workload."""

    alpha: float
    tolerances: tuple[float, ...]
    target_mde: float
    power: float = 0.9

    @property
    def edges(self) -> FloatArray:
        """The tolerances as logarithms."""
        return np.asarray(np.log1p(np.array(self.tolerances)))

    def required_mde(self, workload: int) -> float:
        """The MDE that the runs must reach. A large tolerance raises it."""
        return max(self.target_mde, 2 * self.tolerances[workload])


@dataclass(frozen=True)
class RunTimes:
    """Log times of runs (rows) for workloads (columns), with the moment of each run.

    `past` has one row for each commit of the history, oldest first, followed by old and new.
    """

    workloads: tuple[str, ...]
    old: FloatArray
    new: FloatArray
    moments_old: tuple[str, ...]
    moments_new: tuple[str, ...]
    past: FloatArray

    @cached_property
    def all_runs(self) -> FloatArray:
        return np.concatenate([self.old, self.new])

    @cached_property
    def estimates(self) -> FloatArray:
        """The Hodges-Lehmann shift of each workload: the median of all differences between new and old."""
        differences = self.new[:, None, :] - self.old[None, :, :]
        return np.asarray(np.median(differences, axis=(0, 1)))

    @cached_property
    def are_in_turns(self) -> bool:
        return are_in_turns(self.moments_old, self.moments_new)

    def has_history(self, alpha: float) -> bool:
        """Whether the history is long enough for a change to be rare in it."""
        return HistoryTest(self.past, alpha).can_be_significant


def judge_times(times: RunTimes, rule: TimeRule) -> list[Verdict]:
    """A verdict on each workload; the chance of any false alarm among them is at most `rule.alpha`."""
    runs_can_decide = can_be_significant(len(times.old), len(times.new), rule.alpha)
    # What decides depends on the number and the order of the runs, never on their times.
    if runs_can_decide and times.are_in_turns:
        return _LabelVerdicts(times, rule).verdicts()
    if times.has_history(rule.alpha):
        return _HistoryVerdicts(times, rule).verdicts()
    if runs_can_decide:
        return _BlockVerdicts(times, rule).verdicts()
    reason = _too_few_runs_reason(times, rule.alpha)
    return [_verdict(times, rule, index, Outcome.UNCLEAR, reason) for index in range(len(times.workloads))]


@dataclass(frozen=True)
class _Verdicts:
    """The verdicts of one test; a subclass names the test."""

    times: RunTimes
    rule: TimeRule

    def test(self) -> PermutationTest | HistoryTest:
        raise NotImplementedError

    def interval(self, workload: int) -> Interval | None:
        raise NotImplementedError

    def advice(self, workload: int) -> str:
        raise NotImplementedError

    def verdicts(self) -> list[Verdict]:
        return [self._verdict(index) for index in range(len(self.times.workloads))]

    def _verdict(self, workload: int) -> Verdict:
        outcome = self.outcome(workload)
        return _verdict(
            self.times,
            self.rule,
            workload,
            outcome,
            self.reason(workload, outcome),
            self.interval(workload),
            self.mde(workload),
        )

    def outcome(self, workload: int) -> Outcome:
        edge, estimate = self.rule.edges[workload], self.times.estimates[workload]
        if self._slower[workload] <= self.rule.alpha and estimate > edge:
            return Outcome.REGRESSED
        if self._faster[workload] <= self.rule.alpha and estimate < -edge:
            return Outcome.IMPROVED
        is_coarse = self.mde(workload) > self.rule.required_mde(workload)
        return Outcome.UNCLEAR if is_coarse else Outcome.KEPT

    def reason(self, workload: int, outcome: Outcome) -> str:
        estimate, mde = float(self.times.estimates[workload]), self.mde(workload)
        beyond = f"certain beyond the tolerance of {self.rule.tolerances[workload]:.1%}"
        if outcome is Outcome.REGRESSED:
            return f"{exp(estimate):.3f} times as long, {beyond}"
        if outcome is Outcome.IMPROVED:
            return f"{exp(-estimate):.3f} times as fast, {beyond}"
        if outcome is Outcome.KEPT:
            return f"no change; a slowdown of {mde:.1%} would have been detected"
        found = f"below {mde:.1%}" if mde < inf else "of any size"
        return f"cannot detect slowdowns {found}; {self.advice(workload)}"

    def mde(self, workload: int) -> float:
        """The smallest slowdown that is detected with the required power."""
        shift = float(self._detectable_shifts[workload])
        return _bounded_expm1(log1p(self.rule.tolerances[workload]) + shift)

    # Against the tolerance, and against no change at all, where the test is exact for any noise.

    @cached_property
    def _slower(self) -> FloatArray:
        beyond = self.test().shifted(self.rule.edges)
        return np.maximum(self.test().p_values_slower, beyond.p_values_slower)

    @cached_property
    def _faster(self) -> FloatArray:
        beyond = self.test().shifted(-self.rule.edges)
        return np.maximum(self.test().p_values_faster, beyond.p_values_faster)

    @cached_property
    def _detectable_shifts(self) -> FloatArray:
        return self.test().detectable_shifts(self.rule.power)


@dataclass(frozen=True)
class _LabelVerdicts(_Verdicts):
    """By permuting the labels of runs that were taken in turns."""

    def test(self) -> PermutationTest:
        return self._test

    @cached_property
    def _test(self) -> PermutationTest:
        return PermutationTest(self.times.all_runs, len(self.times.old), self.rule.alpha)

    @cached_property
    def _without_changes(self) -> PermutationTest:
        return self._test.shifted(self.times.estimates)

    @cached_property
    def _detectable_shifts(self) -> FloatArray:
        return self._without_changes.detectable_shifts(self.rule.power)

    def interval(self, workload: int) -> Interval:
        margin = self._without_changes.critical_t * float(self._test.standard_errors[workload])
        return _interval(float(self.times.estimates[workload]), margin, self.rule.alpha)

    def advice(self, workload: int) -> str:
        most, required = max(len(self.times.old), len(self.times.new)), self.rule.required_mde(workload)
        for more in _ADVISED_RUNS:
            if self._mde_with(most + more, workload) <= required:
                return f"take {_more_runs(more)} of each side, in turns, to detect {required:.1%}"
        return "runs differ too much for more runs to help: compare in turns with `perfsuite gate`"

    def _mde_with(self, runs: int, workload: int) -> float:
        """The MDE with so many runs of each side, drawn from those at hand."""
        if runs not in self._detectable_by_runs:
            pool = self._without_changes.log_times
            drawn = np.random.default_rng(_SEED).integers(len(pool), size=2 * runs)
            test = PermutationTest(pool[drawn], runs, self.rule.alpha, _ADVICE_LABELINGS)
            self._detectable_by_runs[runs] = test.detectable_shifts(self.rule.power)
        shift = float(self._detectable_by_runs[runs][workload])
        return _bounded_expm1(log1p(self.rule.tolerances[workload]) + shift)

    @cached_property
    def _detectable_by_runs(self) -> dict[int, FloatArray]:
        return {}


@dataclass(frozen=True)
class _BlockVerdicts(_LabelVerdicts):
    """By the same test where one side is older: no change is seen, but none can be shown either."""

    def outcome(self, workload: int) -> Outcome:
        outcome = super().outcome(workload)
        return outcome if outcome is Outcome.KEPT else Outcome.UNCLEAR

    def reason(self, workload: int, outcome: Outcome) -> str:
        change = super().outcome(workload)
        if change not in {Outcome.REGRESSED, Outcome.IMPROVED}:
            return super().reason(workload, outcome)
        ratio = exp(float(self.times.estimates[workload]))
        return f"{ratio:.3f} times as long, but {_not_in_turns_reason(self.times, self.rule.alpha)}"


@dataclass(frozen=True)
class _HistoryVerdicts(_Verdicts):
    """By the rank of the change among the changes of the past."""

    def test(self) -> HistoryTest:
        return self._test

    @cached_property
    def _test(self) -> HistoryTest:
        return HistoryTest(self.times.past, self.rule.alpha)

    def interval(self, workload: int) -> Interval:
        margin = float(self._test.critical_changes[workload])
        return _interval(float(self.times.estimates[workload]), margin, self.rule.alpha)

    def advice(self, workload: int) -> str:
        runs = fewest_runs_of_each_side(self.rule.alpha)
        return f"commits of the past differ too much: take {runs} runs of each side, in turns"


def _verdict(
    times: RunTimes,
    rule: TimeRule,
    workload: int,
    outcome: Outcome,
    reason: str,
    interval: Interval | None = None,
    mde: float | None = None,
) -> Verdict:
    return Verdict(
        workload=times.workloads[workload],
        metric="time",
        outcome=outcome,
        reason=reason,
        estimate=_bounded_expm1(float(times.estimates[workload])),
        interval=interval,
        bound=rule.tolerances[workload],
        mde=mde,
    )


def _too_few_runs_reason(times: RunTimes, alpha: float) -> str:
    old, new = len(times.old), len(times.new)
    short = next(more for more in count(1) if can_be_significant(old + more, new + more, alpha))
    return (
        f"too few runs for a chance of error of {alpha:.2g}: take {_more_runs(short)} of each side, in turns "
        "(each run in a fresh process)"
    )


def _not_in_turns_reason(times: RunTimes, alpha: float) -> str:
    fewest = fewest_runs_of_each_side(alpha)
    return (
        "one side is older than the other, so it may be drift of the machine: take "
        f"{fewest} runs of each side in turns, or store {commits_needed(alpha)} commits "
        f"(the history has {len(times.past) - 2})"
    )


def _more_runs(runs: int) -> str:
    return f"{runs} more run{'s' * (runs > 1)}"


def _interval(estimate: float, margin: float, alpha: float) -> Interval:
    return Interval(
        _bounded_expm1(estimate - margin), _bounded_expm1(estimate + margin), max(0.0, 1 - 2 * alpha)
    )


def _bounded_expm1(value: float) -> float:
    return expm1(min(value, 100.0))
