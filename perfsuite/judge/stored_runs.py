"""Compare two sides of stored runs: a verdict on every workload's time and counters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from perfsuite.judge.counter_diff import compare_counters
from perfsuite.judge.run_forecast import RunNeeds, needs_of_one_side
from perfsuite.judge.run_table import HistoricalRun, build_run_tables, log_time_table
from perfsuite.judge.time_comparison import judge_times
from perfsuite.judge.time_rule import TimeRule
from perfsuite.judge.units import Range
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.family import Direction
from perfsuite.measure.counters.registry import DEVICE_COUNTERS, DIRECTIONS
from perfsuite.measure.measurement import Environment, Measurement

COUNTER_ENVIRONMENT_KEYS = ("torch", "python")  # counters differ where one of these does; seconds where any
DEVICE_ENVIRONMENT_KEYS = ("gpu", "mig", "cuda")  # libraries choose other kernels for another GPU

_BLOCKS_WARNING = (
    "one side is older than the other, and the history is too short to know how much this machine drifts: "
    "no change of time can be shown, and drift may hide one; take the runs of both sides in turns"
)


class ComparableRun(HistoricalRun, Protocol):
    """A run of one of the two sides."""

    @property
    def environment(self) -> Environment: ...
    @property
    def measurements(self) -> Mapping[str, Measurement]: ...


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """Error rate, sensitivity and tolerances of a comparison.

    >>> ComparisonSettings(tolerances={"test_noisy": 0.05}).rule_for(["test_noisy", "test_b"]).tolerances
    (0.05, 0.01)
    """

    alpha: float = 0.01  # probability of any false alarm in the whole comparison
    tolerance: float = 0.01  # slowdowns up to this are no regression, however certain
    target_mde: float = 0.05  # a comparison with a larger MDE is unclear
    power: float = 0.9  # probability of detecting a slowdown of the MDE
    tolerances: Mapping[str, float] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)  # old name -> new name
    directions: Mapping[str, Direction] = field(default_factory=lambda: DIRECTIONS)  # of counters

    def __post_init__(self) -> None:
        Range(0).check("alpha", self.alpha)  # divided among the workloads: each share is a probability
        for name in ("target_mde", "power"):
            Range(0, 1).check(name, getattr(self, name))
        Range(0, 1, with_low=True).check("tolerance", self.tolerance)
        for workload, tolerance in self.tolerances.items():
            Range(0, 1, with_low=True).check(f"tolerance of {workload}", tolerance)

    def rule_for(self, workloads: Sequence[str], share: float = 1.0) -> TimeRule:
        """The rule of workloads that are judged together, with their share of alpha."""
        tolerances = tuple(self.tolerances.get(name, self.tolerance) for name in workloads)
        return TimeRule(self.alpha * share, tolerances, self.target_mde, self.power)


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """All verdicts of a comparison, and warnings for the reader."""

    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...] = ()
    needs: RunNeeds | None = None  # of the workloads that are unclear for want of runs
    seconds_per_call: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # old, new; medians


def compare_runs(
    old: Sequence[ComparableRun],
    new: Sequence[ComparableRun],
    history: Iterable[HistoricalRun] = (),
    settings: ComparisonSettings | None = None,
) -> ComparisonReport:
    """Judge every workload of either side. `history` holds other runs of the same environment."""
    settings = settings or ComparisonSettings()
    before, after = _by_workload(old, settings.renames), _by_workload(new, {})
    common = [name for name in before if name in after]
    verdicts = [_missing(name) for name in before if name not in after]
    verdicts += [_new(name) for name in after if name not in before]
    differences = _hard_differences(old, new)
    warnings = list(_soft_differences(old, new))
    needs: RunNeeds | None = None
    seconds: dict[str, tuple[float, float]] = {}
    if differences:
        verdicts += [_not_comparable(name, differences) for name in common]
    else:
        timed = [name for name in common if _has_samples(before[name]) and _has_samples(after[name])]
        untimed = (name for name in common if name not in timed)
        verdicts += [each for name in untimed if (each := _untimed(name, before[name], after[name]))]
        seconds = {name: (_median_seconds(before[name]), _median_seconds(after[name])) for name in timed}
        unfit = {name: reason for name in timed if (reason := _unfit_reason(before[name], after[name]))}
        verdicts += [_unclear(name, reason) for name, reason in unfit.items()]
        comparable = [name for name in timed if name not in unfit]
        for times in build_run_tables(comparable, old, new, history, settings.renames):
            rule = settings.rule_for(times.workloads, len(times.workloads) / len(comparable))
            judged = judge_times(times, rule)
            verdicts += judged.verdicts
            needs = needs.merged(judged.needs) if needs else judged.needs
            if (
                not times.are_in_turns
                and not times.has_history(rule.alpha)
                and _BLOCKS_WARNING not in warnings
            ):
                warnings.append(_BLOCKS_WARNING)
    if not any(key in differences for key in COUNTER_ENVIRONMENT_KEYS):
        left_out = (
            DEVICE_COUNTERS if any(key in differences for key in DEVICE_ENVIRONMENT_KEYS) else frozenset()
        )
        for name in common:
            counts = _counters(before[name], left_out), _counters(after[name], left_out)
            evidence = _counter_evidence(*map(len, counts))
            verdicts += compare_counters(name, *counts, settings.directions, evidence).verdicts(name)
    return ComparisonReport(tuple(verdicts), tuple(warnings), needs, seconds)


def needs_of_baseline(runs: Sequence[HistoricalRun], settings: ComparisonSettings) -> RunNeeds:
    """How many runs of each side a comparison with these runs needs."""
    workloads, log_times = log_time_table(runs)
    return needs_of_one_side(workloads, log_times, settings.rule_for(workloads))


def _by_workload(side: Sequence[ComparableRun], renames: Mapping[str, str]) -> dict[str, list[Measurement]]:
    measurements: dict[str, list[Measurement]] = {}
    for run in side:
        for name, measurement in run.measurements.items():
            measurements.setdefault(renames.get(name, name), []).append(measurement)
    return measurements


def _counters(measurements: Sequence[Measurement], left_out: Collection[str]) -> list[Mapping[str, int]]:
    return [
        {name: number for name, number in measurement.counters.items() if name not in left_out}
        for measurement in measurements
        if measurement.counters
    ]


def _counter_evidence(old: int, new: int) -> str:
    """How many processes show a change of a counter. A counter that varies by process may agree by chance."""
    fewest = min(old, new)
    return f"exact, the same in {fewest} runs of each side" if fewest > 1 else "exact, in one run"


def _has_samples(measurements: Sequence[Measurement]) -> bool:
    return any(measurement.seconds_per_call for measurement in measurements)


def _median_seconds(measurements: Sequence[Measurement]) -> float:
    """The median over the runs of one side."""
    return median(each.median_seconds_per_call for each in measurements if each.seconds_per_call)


def _missing(name: str) -> Verdict:
    return Verdict(
        name,
        "time",
        Outcome.MISSING,
        "measured before, not now; was it renamed (--rename OLD=NEW), or did it fail?",
    )


def _new(name: str) -> Verdict:
    return Verdict(name, "time", Outcome.NEW, "not measured before: nothing to compare it with")


def _untimed(name: str, old: Sequence[Measurement], new: Sequence[Measurement]) -> Verdict | None:
    """The verdict on a workload that a side has, and did not time; None where its counters decide."""
    if _has_samples(old):
        return _missing(name)
    if _has_samples(new):
        return _new(name)
    is_counted = all(any(measurement.counters for measurement in side) for side in (old, new))
    return None if is_counted else _unclear(name, "neither times nor counters of both sides")


def _hard_differences(
    old: Sequence[ComparableRun], new: Sequence[ComparableRun]
) -> dict[str, tuple[str, str]]:
    differences: dict[str, tuple[str, str]] = {}
    for run in [*old, *new]:
        differences |= old[0].environment.hard_differences(run.environment)
    return differences


def _not_comparable(name: str, differences: Mapping[str, tuple[str, str]]) -> Verdict:
    facts = "; ".join(f"{key} {first} against {second}" for key, (first, second) in differences.items())
    return _unclear(name, f"measured in different environments: {facts}")


def _soft_differences(old: Sequence[ComparableRun], new: Sequence[ComparableRun]) -> Iterable[str]:
    differences: dict[str, tuple[str, str]] = {}
    for run in [*old, *new]:
        differences |= old[0].environment.soft_differences(run.environment)
    for key, (first, second) in differences.items():
        yield f"{key} differs: {first} against {second}"


def _unfit_reason(old: Sequence[Measurement], new: Sequence[Measurement]) -> str:
    """Why the times of a workload cannot be compared; empty if they can."""
    units = {measurement.unit for measurement in (*old, *new)}
    if len(units) > 1:
        return f"the sides count different items: {' and '.join(sorted(units))}"
    timed = [measurement for measurement in (*old, *new) if measurement.seconds_per_call]
    if min(measurement.median_seconds_per_call for measurement in timed) <= 0:
        return "a median of 0 s is below the resolution of the clock"
    return ""


def _unclear(name: str, reason: str) -> Verdict:
    return Verdict(name, "time", Outcome.UNCLEAR, reason)
