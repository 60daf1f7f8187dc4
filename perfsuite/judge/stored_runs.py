"""Compare two sides of stored runs: a verdict on every workload's time and counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Protocol

from perfsuite.judge.counter_diff import compare_counters
from perfsuite.judge.spread import MIN_SUCCESSIVE_DIFFERENCES
from perfsuite.judge.spread_rule import SpreadRule
from perfsuite.judge.units import Range
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.family import Direction
from perfsuite.measure.counters.registry import DIRECTIONS
from perfsuite.measure.measurement import Environment, Measurement

COUNTER_ENVIRONMENT_KEYS = ("torch", "python")


_BLOCKS_WARNING = (
    "all runs of one side are older than those of the other, and the history is too short to know how much "
    "this machine drifts: a change may be drift; alternate the runs of both sides, or store more runs"
)


class HistoricalRun(Protocol):
    """A run of the history: only the time of each workload is used."""

    @property
    def commit(self) -> str: ...
    @property
    def dirty(self) -> bool: ...
    @property
    def created_at(self) -> str: ...
    @property
    def seconds_per_item(self) -> Mapping[str, float]: ...


class ComparableRun(HistoricalRun, Protocol):
    """A run of one of the two sides."""

    @property
    def environment(self) -> Environment: ...
    @property
    def measurements(self) -> Mapping[str, Measurement]: ...


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """Error rate, sensitivity and tolerances of a comparison.

    >>> ComparisonSettings(tolerances={"test_noisy": 0.05}).rule_for("test_noisy", workloads=10).tolerance
    0.05
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

    def rule_for(self, workload: str, workloads: int) -> SpreadRule:
        """The rule of one workload: alpha is divided among the workloads (Bonferroni)."""
        tolerance = self.tolerances.get(workload, self.tolerance)
        return SpreadRule(self.alpha / workloads, tolerance, self.target_mde, self.power)


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """All verdicts of a comparison, and warnings for the reader."""

    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...] = ()


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
    if differences:
        verdicts += [_not_comparable(name, differences) for name in common]
    else:
        timed = [name for name in common if _has_samples(before[name]) and _has_samples(after[name])]
        past = _history_by_workload(history, settings.renames)
        for name in timed:
            rule = settings.rule_for(name, len(timed))
            verdicts.append(_judge_time(name, before[name], after[name], past.get(name, []), rule))
        if _is_in_blocks(old, new) and not all(_drift_is_known(past.get(name, [])) for name in timed):
            warnings.append(_BLOCKS_WARNING)
    if not any(key in differences for key in COUNTER_ENVIRONMENT_KEYS):
        for name in common:
            counts = _counters(before[name]), _counters(after[name])
            verdicts += compare_counters(name, *counts, settings.directions).verdicts(name)
    return ComparisonReport(tuple(verdicts), tuple(warnings))


def _by_workload(side: Sequence[ComparableRun], renames: Mapping[str, str]) -> dict[str, list[Measurement]]:
    measurements: dict[str, list[Measurement]] = {}
    for run in side:
        for name, measurement in run.measurements.items():
            measurements.setdefault(renames.get(name, name), []).append(measurement)
    return measurements


def _counters(measurements: Sequence[Measurement]) -> list[Mapping[str, int]]:
    return [measurement.counters for measurement in measurements if measurement.counters]


def _has_samples(measurements: Sequence[Measurement]) -> bool:
    return any(measurement.seconds_per_call for measurement in measurements)


def _missing(name: str) -> Verdict:
    return Verdict(
        name,
        "time",
        Outcome.MISSING,
        "measured before, not now; was it renamed (--rename OLD=NEW), or did it fail?",
    )


def _new(name: str) -> Verdict:
    return Verdict(name, "time", Outcome.NEW, "not measured before: nothing to compare it with")


def _hard_differences(
    old: Sequence[ComparableRun], new: Sequence[ComparableRun]
) -> dict[str, tuple[str, str]]:
    differences: dict[str, tuple[str, str]] = {}
    for run in [*old, *new]:
        differences |= old[0].environment.hard_differences(run.environment)
    return differences


def _not_comparable(name: str, differences: Mapping[str, tuple[str, str]]) -> Verdict:
    facts = "; ".join(f"{key} {first} against {second}" for key, (first, second) in differences.items())
    return Verdict(name, "time", Outcome.UNCLEAR, f"measured in different environments: {facts}")


def _soft_differences(old: Sequence[ComparableRun], new: Sequence[ComparableRun]) -> Iterable[str]:
    differences: dict[str, tuple[str, str]] = {}
    for run in [*old, *new]:
        differences |= old[0].environment.soft_differences(run.environment)
    for key, (first, second) in differences.items():
        yield f"{key} differs: {first} against {second}"


def _is_in_blocks(old: Sequence[ComparableRun], new: Sequence[ComparableRun]) -> bool:
    """Whether one side ended before the other began, so that drift looks like a change."""
    times_old, times_new = [run.created_at for run in old], [run.created_at for run in new]
    return max(times_old) < min(times_new) or max(times_new) < min(times_old)


def _drift_is_known(series: Sequence[Sequence[float]]) -> bool:
    return len(series) > MIN_SUCCESSIVE_DIFFERENCES


def _history_by_workload(
    history: Iterable[HistoricalRun], renames: Mapping[str, str]
) -> dict[str, list[list[float]]]:
    """Log times of each workload in order of time, grouped by code. A dirty tree is a code of its own."""
    by_code: dict[str, dict[str, list[float]]] = {}
    for number, run in enumerate(sorted(history, key=lambda run: run.created_at)):
        code = run.commit if run.commit and not run.dirty else f"unknown {number}"
        for name, seconds in run.seconds_per_item.items():
            if seconds > 0:
                by_code.setdefault(renames.get(name, name), {}).setdefault(code, []).append(log(seconds))
    return {name: list(codes.values()) for name, codes in by_code.items()}


def _judge_time(
    name: str,
    old: Sequence[Measurement],
    new: Sequence[Measurement],
    series: list[list[float]],
    rule: SpreadRule,
) -> Verdict:
    units = {measurement.unit for measurement in (*old, *new)}
    if len(units) > 1:
        reason = f"the sides count different items: {' and '.join(sorted(units))}"
        return Verdict(name, "time", Outcome.UNCLEAR, reason)
    seconds_old, seconds_new = _seconds_per_item(old), _seconds_per_item(new)
    if min(*seconds_old, *seconds_new) <= 0:
        return Verdict(name, "time", Outcome.UNCLEAR, "a median of 0 s is below the resolution of the clock")
    return rule.judge(name, [*map(log, seconds_old)], [*map(log, seconds_new)], series)


def _seconds_per_item(measurements: Sequence[Measurement]) -> list[float]:
    return [
        measurement.median_seconds_per_call / measurement.items_per_call
        for measurement in measurements
        if measurement.seconds_per_call
    ]
