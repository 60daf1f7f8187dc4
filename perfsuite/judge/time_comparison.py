"""Judge the times of all workloads between two sides of stored runs, jointly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import exp, inf

import numpy as np

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.history_rank import HistoryTest, commits_needed
from perfsuite.judge.label_permutation import PermutationTest
from perfsuite.judge.run_forecast import RunForecast, RunNeeds
from perfsuite.judge.run_labels import are_in_turns, can_be_significant, fewest_runs_of_each_side
from perfsuite.judge.time_rule import TimeRule, bounded_expm1
from perfsuite.judge.verdict import Interval, Outcome, Verdict


@dataclass(frozen=True)
class RunTimes:
    """Log times of runs (rows) for workloads (columns), with the moment of each run.

    `commit_levels` has one row for each commit of the history, oldest first, then those of old and of new.
    """

    workloads: tuple[str, ...]
    old: FloatArray
    new: FloatArray
    moments_old: tuple[str, ...]
    moments_new: tuple[str, ...]
    commit_levels: FloatArray

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

    @property
    def past_commits(self) -> int:
        return len(self.commit_levels) - 2

    def has_history(self, alpha: float) -> bool:
        """Whether the history is long enough for a change to be rare in it."""
        return HistoryTest(self.commit_levels, alpha).can_be_significant


@dataclass(frozen=True, slots=True)
class TimeVerdicts:
    """A verdict on each workload, and the runs that those which are unclear need."""

    verdicts: list[Verdict]
    needs: RunNeeds


def judge_times(times: RunTimes, rule: TimeRule) -> TimeVerdicts:
    """Judge all workloads; the chance of any false alarm among them is at most `rule.alpha`."""
    runs_can_decide = can_be_significant(len(times.old), len(times.new), rule.alpha)
    # What decides depends on the number and the order of the runs, never on their times.
    if runs_can_decide and times.are_in_turns:
        return _LabelVerdicts(times, rule).judge()
    if times.has_history(rule.alpha):
        return _HistoryVerdicts(times, rule).judge()
    if runs_can_decide:
        return _BlockVerdicts(times, rule).judge()
    reason = _too_few_runs_reason(times, rule.alpha)
    return TimeVerdicts(
        [_verdict(times, rule, index, Outcome.UNCLEAR, reason) for index in range(len(times.workloads))],
        RunNeeds(fewest_runs_of_each_side(rule.alpha), rule.target_mde),
    )


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

    def runs_needed(self, workload: int) -> int | None:
        """The runs of each side, in turns, that an unclear workload needs; None if no number helps."""
        return fewest_runs_of_each_side(self.rule.alpha)

    def judge(self) -> TimeVerdicts:
        verdicts = [self._verdict(index) for index in range(len(self.times.workloads))]
        unclear = [index for index, each in enumerate(verdicts) if each.outcome is Outcome.UNCLEAR]
        needed = {self.times.workloads[index]: self.runs_needed(index) for index in unclear}
        needs = RunNeeds(
            runs=max((runs for runs in needed.values() if runs is not None), default=0),
            target_mde=max(
                (self.rule.required_mde(index) for index in unclear), default=self.rule.target_mde
            ),
            too_noisy=tuple(name for name, runs in needed.items() if runs is None),
        )
        return TimeVerdicts(verdicts, needs)

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
        edge, estimate = self.rule.log_tolerances[workload], self.times.estimates[workload]
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
        return self.rule.mde(workload, float(self._detectable_shifts[workload]))

    # Against the tolerance, and against no change at all, where the test is exact for any noise.

    @cached_property
    def _slower(self) -> FloatArray:
        beyond = self.test().shifted(self.rule.log_tolerances)
        return np.maximum(self.test().p_values_slower, beyond.p_values_slower)

    @cached_property
    def _faster(self) -> FloatArray:
        beyond = self.test().shifted(-self.rule.log_tolerances)
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
        runs = self.runs_needed(workload)
        if runs is None:
            return "runs differ too much for more runs to help: compare in turns with `perfsuite gate`"
        required = self.rule.required_mde(workload)
        return f"take {_more_runs(runs - self._at_hand)} of each side, in turns, to detect {required:.1%}"

    def runs_needed(self, workload: int) -> int | None:
        return self._forecast.runs_needed(workload, self._at_hand)

    @property
    def _at_hand(self) -> int:
        return max(len(self.times.old), len(self.times.new))

    @cached_property
    def _forecast(self) -> RunForecast:
        return RunForecast(self._without_changes.log_times, self.rule)


@dataclass(frozen=True)
class _BlockVerdicts(_LabelVerdicts):
    """By the same test where one side is older: no change is seen, but none can be shown either."""

    def outcome(self, workload: int) -> Outcome:
        outcome = super().outcome(workload)
        return outcome if outcome is Outcome.KEPT else Outcome.UNCLEAR

    def runs_needed(self, workload: int) -> int | None:
        has_changed = super().outcome(workload) in {Outcome.REGRESSED, Outcome.IMPROVED}
        return fewest_runs_of_each_side(self.rule.alpha) if has_changed else super().runs_needed(workload)

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
        return HistoryTest(self.times.commit_levels, self.rule.alpha)

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
        estimate=bounded_expm1(float(times.estimates[workload])),
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
        f"(the history has {times.past_commits})"
    )


def _more_runs(runs: int) -> str:
    return f"{runs} more run{'s' * (runs > 1)}"


def _interval(estimate: float, margin: float, alpha: float) -> Interval:
    return Interval(
        bounded_expm1(estimate - margin), bounded_expm1(estimate + margin), max(0.0, 1 - 2 * alpha)
    )
