"""How often `perfsuite compare` is wrong on equal code, and how often it finds a planted 10 %."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from benchmarks.judge.noise import FloatArray, Noise
from benchmarks.judge.previous_rule import SpreadRule
from perfsuite.judge.time_comparison import RunTimes, judge_times
from perfsuite.judge.time_rule import TimeRule
from perfsuite.judge.verdict import Outcome, Verdict

WORKLOADS = 20
ALPHA = 0.01
PLANTED = 1.1
PLANTED_WORKLOAD = 7
FIRST_RUNS = 5  # of each side, before `compare` has said how many it needs
REFERRED_TO_GATE = 0  # `compare` asked for no number of runs, but for the gate


@dataclass(frozen=True, slots=True)
class Setting:
    """How many runs a comparison has, and in which order they were taken."""

    label: str
    runs: int  # of each side
    past: int = 0  # commits of the history, one run each
    in_turns: bool = True


SETTINGS = (
    Setting("5 against 5, in turns", 5),
    Setting("10 against 10, in turns", 10),
    Setting("5 against 5, in turns, history of 20", 5, 20),
    Setting("3 against 3, history of 20", 3, 20),
    Setting("1 against 1, history of 20", 1, 20),
    Setting("5 against 5, one after the other", 5, in_turns=False),
    Setting("5 against 5, one after the other, history of 120", 5, 120, in_turns=False),
    Setting("1 against 1, history of 120", 1, 120, in_turns=False),
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The runs of one comparison, in order of time."""

    past: FloatArray
    old: FloatArray
    new: FloatArray
    moments_old: tuple[str, ...]
    moments_new: tuple[str, ...]

    @classmethod
    def draw(cls, noise: Noise, setting: Setting, rng: np.random.Generator) -> Comparison:
        series = noise(rng, setting.past + 2 * setting.runs, WORKLOADS)
        runs = series[setting.past :]
        order = np.arange(2 * setting.runs)
        is_new = order % 2 == 1 if setting.in_turns else order >= setting.runs
        return cls(
            past=series[: setting.past],
            old=runs[~is_new],
            new=runs[is_new],
            moments_old=tuple(f"{moment:04d}" for moment in order[~is_new]),
            moments_new=tuple(f"{moment:04d}" for moment in order[is_new]),
        )

    def with_planted(self) -> Comparison:
        new = self.new.copy()
        new[:, PLANTED_WORKLOAD] += log(PLANTED)
        return Comparison(self.past, self.old, new, self.moments_old, self.moments_new)


Judge = Callable[[Comparison, float, float], Sequence[Verdict]]  # comparison, tolerance, target MDE


def present_rule(comparison: Comparison, tolerance: float, target_mde: float) -> Sequence[Verdict]:
    """The rule of `perfsuite compare`."""
    # Past commits have one run each: old and new count with those that are closest in time.
    levels = (comparison.old[-1], comparison.new[0])
    times = RunTimes(
        workloads=tuple(f"w{number}" for number in range(WORKLOADS)),
        old=comparison.old,
        new=comparison.new,
        moments_old=comparison.moments_old,
        moments_new=comparison.moments_new,
        commit_levels=np.concatenate([comparison.past, *(level[None] for level in levels)]),
    )
    return judge_times(times, TimeRule(ALPHA, (tolerance,) * WORKLOADS, target_mde)).verdicts


def previous_rule(comparison: Comparison, tolerance: float, target_mde: float) -> Sequence[Verdict]:
    """The negative control: Student's t with a trimmed spread."""
    rule = SpreadRule(ALPHA / WORKLOADS, tolerance, target_mde)
    return [
        rule.judge(
            f"w{column}",
            comparison.old[:, column].tolist(),
            comparison.new[:, column].tolist(),
            [[value] for value in comparison.past[:, column].tolist()],
        )
        for column in range(WORKLOADS)
    ]


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """Comparisons of equal code, and those with a false verdict."""

    comparisons: int
    alarms: int
    improvements: int
    all_unclear: int


def count_errors(noise: Noise, setting: Setting, comparisons: int, seed: int, judge: Judge) -> ErrorCounts:
    """Compare equal code without a tolerance, so that nothing but the test holds false alarms down."""
    rng = np.random.default_rng(seed)
    found = [
        {verdict.outcome for verdict in judge(Comparison.draw(noise, setting, rng), 0.0, 0.99)}
        for _ in range(comparisons)
    ]
    return ErrorCounts(
        comparisons=comparisons,
        alarms=sum(Outcome.REGRESSED in outcomes for outcomes in found),
        improvements=sum(Outcome.IMPROVED in outcomes for outcomes in found),
        all_unclear=sum(outcomes == {Outcome.UNCLEAR} for outcomes in found),
    )


@dataclass(frozen=True, slots=True)
class PowerCounts:
    """Suites that asked `compare` how many runs they need, and then took them with 10 % planted."""

    suites: int
    referred_to_gate: int
    found: int
    others_accused: int
    median_runs: float


def count_found(noise: Noise, suites: int, seed: int) -> PowerCounts:
    """Ask `compare` for the number of runs with five runs of equal code; then plant 10 % in that many."""
    rng = np.random.default_rng(seed)
    asked = [_runs_asked_for(noise, rng) for _ in range(suites)]
    found = accused = 0
    for runs in filter(None, asked):
        comparison = Comparison.draw(noise, Setting("planted", runs), rng).with_planted()
        outcomes = [verdict.outcome for verdict in present_rule(comparison, 0.01, 0.99)]
        found += outcomes.pop(PLANTED_WORKLOAD) is Outcome.REGRESSED
        accused += Outcome.REGRESSED in outcomes
    numbers = [runs for runs in asked if runs]
    return PowerCounts(
        suites=suites,
        referred_to_gate=asked.count(REFERRED_TO_GATE),
        found=found,
        others_accused=accused,
        median_runs=float(np.median(numbers)) if numbers else float("nan"),
    )


def _runs_asked_for(noise: Noise, rng: np.random.Generator) -> int:
    """The runs of each side that the suite needs, by the advice of its verdicts."""
    first = Comparison.draw(noise, Setting("first", FIRST_RUNS), rng)
    more = [0]
    for verdict in present_rule(first, 0.01, 0.05):
        if verdict.outcome is Outcome.UNCLEAR:
            asked = re.search(r"take (\d+) more run", verdict.reason)
            if asked is None:
                return REFERRED_TO_GATE
            more.append(int(asked[1]))
    return FIRST_RUNS + max(more)
