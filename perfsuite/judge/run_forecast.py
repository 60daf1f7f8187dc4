"""How many runs of each side a suite needs, forecast from the spread of the runs at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.label_permutation import PermutationTest
from perfsuite.judge.run_labels import fewest_runs_of_each_side
from perfsuite.judge.time_rule import TimeRule

ADDED_RUNS = (1, 2, 3, 5, 7, 10, 15, 20, 30)  # more runs of each side; beyond that, use the gate
_SEED = 20261128
_LABELINGS = 1_000  # enough for one of ADDED_RUNS


@dataclass(frozen=True, slots=True)
class RunNeeds:
    """How many runs of each side a verdict on every workload needs."""

    runs: int  # at least; 0 where the runs at hand suffice
    target_mde: float
    too_noisy: tuple[str, ...] = ()  # workloads for which more runs do not help

    def merged(self, other: RunNeeds) -> RunNeeds:
        """The needs of two groups of workloads of one suite."""
        return RunNeeds(
            max(self.runs, other.runs),
            max(self.target_mde, other.target_mde),
            (*self.too_noisy, *other.too_noisy),
        )


@dataclass(frozen=True)
class RunForecast:
    """What more runs would detect, if they differ as those of `pool` do (log times without changes)."""

    pool: FloatArray
    rule: TimeRule

    def runs_needed(self, workload: int, at_hand: int) -> int | None:
        """The runs of each side that detect the required MDE; None if more runs do not help."""
        for runs in (at_hand + more for more in ADDED_RUNS):
            if self._mde_with(runs, workload) <= self.rule.required_mde(workload):
                return runs
        return None

    def _mde_with(self, runs: int, workload: int) -> float:
        """The MDE with so many runs of each side, drawn from the pool."""
        if runs not in self._detectable_shifts:
            drawn = np.random.default_rng(_SEED).integers(len(self.pool), size=2 * runs)
            test = PermutationTest(self.pool[drawn], runs, self.rule.alpha, _LABELINGS)
            self._detectable_shifts[runs] = test.detectable_shifts(self.rule.power)
        return self.rule.mde(workload, float(self._detectable_shifts[runs][workload]))

    @cached_property
    def _detectable_shifts(self) -> dict[int, FloatArray]:
        """By number of runs: the detectable shift of each workload."""
        return {}


def needs_of_one_side(workloads: Sequence[str], log_times: FloatArray, rule: TimeRule) -> RunNeeds:
    """What a comparison with these runs (rows, all of one side) needs.

    >>> quiet = np.array([[0.0], [0.001], [0.0], [0.002], [0.001]])
    >>> needs_of_one_side(["test_decode"], quiet, TimeRule(0.01, (0.01,), 0.05))
    RunNeeds(runs=5, target_mde=0.05, too_noisy=())
    """
    fewest = fewest_runs_of_each_side(rule.alpha)
    if len(log_times) < fewest:  # too few to know their spread
        return RunNeeds(fewest, rule.target_mde)
    forecast = RunForecast(log_times - np.median(log_times, axis=0), rule)
    needed = {name: forecast.runs_needed(index, fewest - 1) for index, name in enumerate(workloads)}
    return RunNeeds(
        runs=max([fewest, *(runs for runs in needed.values() if runs is not None)]),
        target_mde=rule.target_mde,
        too_noisy=tuple(name for name, runs in needed.items() if runs is None),
    )
