"""Two sides of stored runs: what changed, what did not, and what so few or so unlike runs cannot tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Protocol

from perfsuite.judge import counter_diff
from perfsuite.judge.spread import MIN_SUCCESSIVE_DIFFERENCES
from perfsuite.judge.spread_rule import SpreadRule
from perfsuite.judge.units import Range
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.registry import LESS_IS_BETTER
from perfsuite.measure.measurement import Environment, Measurement

COUNTER_ENVIRONMENT_KEYS = ("torch", "python")


_BLOCKS_WARNING = (
    "all runs of one side are older than the other's, and the history is too short to know how much this "
    "machine drifts meanwhile: what looks like a change may be drift (take them in turns, or keep more runs)"
)


class HistoricalRun(Protocol):
    """A run of the history: no more of it is needed than how long each workload took."""

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
    """How sure, how small, how strict.

    >>> ComparisonSettings(tolerances={"test_noisy": 0.05}).rule_for("test_noisy", workloads=10).tolerance
    0.05
    """

    alpha: float = 0.01  # the chance of any false alarm in the whole comparison
    tolerance: float = 0.01  # slower by no more than this is no regression, however certain
    target_mde: float = 0.05  # a comparison that could not have seen this is unclear
    power: float = 0.9  # the chance with which a slowdown of the MDE is found
    tolerances: Mapping[str, float] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)  # old name -> new name
    less_is_better: frozenset[str] = LESS_IS_BETTER

    def __post_init__(self) -> None:
        Range(0).check("alpha", self.alpha)  # shared among the workloads, and only each share is a chance
        for name in ("target_mde", "power"):
            Range(0, 1).check(name, getattr(self, name))
        Range(0, 1, with_low=True).check("tolerance", self.tolerance)
        for workload, tolerance in self.tolerances.items():
            Range(0, 1, with_low=True).check(f"tolerance of {workload}", tolerance)

    def rule_for(self, workload: str, workloads: int) -> SpreadRule:
        """Each of the workloads may spend its part of alpha, so that all together keep to it (Bonferroni)."""
        tolerance = self.tolerances.get(workload, self.tolerance)
        return SpreadRule(self.alpha / workloads, tolerance, self.target_mde, self.power)


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """All verdicts, and what a reader should know besides."""

    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...] = ()


def compare_runs(
    old: Sequence[ComparableRun],
    new: Sequence[ComparableRun],
    history: Iterable[HistoricalRun] = (),
    settings: ComparisonSettings | None = None,
) -> ComparisonReport:
    """Judge every workload of either side; `history` are other runs of the same environment."""
    settings = settings or ComparisonSettings()
    first, second = _by_workload(old, settings.renames), _by_workload(new, {})
    common = [name for name in first if name in second]
    verdicts = [_missing(name) for name in first if name not in second]
    verdicts += [_new(name) for name in second if name not in first]
    apart = _hard_differences(old, new)
    warnings = list(_soft_differences(old, new))
    if apart:
        verdicts += [_not_comparable(name, apart) for name in common]
    else:
        timed = [name for name in common if _has_samples(first[name]) and _has_samples(second[name])]
        known = _history_by_workload(history, settings.renames)
        for name in timed:
            rule = settings.rule_for(name, len(timed))
            verdicts.append(_judge_time(name, first[name], second[name], known.get(name, []), rule))
        if _is_in_blocks(old, new) and not all(_drift_is_known(known.get(name, [])) for name in timed):
            warnings.append(_BLOCKS_WARNING)
    if not any(key in apart for key in COUNTER_ENVIRONMENT_KEYS):
        for name in common:
            before, after = _counters(first[name]), _counters(second[name])
            verdicts += counter_diff.judge_counters(name, before, after, settings.less_is_better)
    return ComparisonReport(tuple(verdicts), tuple(warnings))


def _by_workload(side: Sequence[ComparableRun], renamed: Mapping[str, str]) -> dict[str, list[Measurement]]:
    found: dict[str, list[Measurement]] = {}
    for run in side:
        for name, took in run.measurements.items():
            found.setdefault(renamed.get(name, name), []).append(took)
    return found


def _counters(taken: Sequence[Measurement]) -> list[Mapping[str, int]]:
    return [took.counters for took in taken if took.counters]


def _has_samples(taken: Sequence[Measurement]) -> bool:
    return any(took.seconds_per_call for took in taken)


def _missing(name: str) -> Verdict:
    return Verdict(
        name,
        "time",
        Outcome.MISSING,
        "measured before, not now; was it renamed (--rename OLD=NEW) or did it fail?",
    )


def _new(name: str) -> Verdict:
    return Verdict(name, "time", Outcome.NEW, "not measured before: nothing to compare it with")


def _hard_differences(
    old: Sequence[ComparableRun], new: Sequence[ComparableRun]
) -> dict[str, tuple[str, str]]:
    apart: dict[str, tuple[str, str]] = {}
    for run in [*old, *new]:
        apart |= old[0].environment.hard_differences(run.environment)
    return apart


def _not_comparable(name: str, apart: Mapping[str, tuple[str, str]]) -> Verdict:
    facts = "; ".join(f"{key} {first} against {second}" for key, (first, second) in apart.items())
    return Verdict(name, "time", Outcome.UNCLEAR, f"measured in different environments: {facts}")


def _soft_differences(old: Sequence[ComparableRun], new: Sequence[ComparableRun]) -> Iterable[str]:
    apart: dict[str, tuple[str, str]] = {}
    for run in [*old, *new]:
        apart |= old[0].environment.soft_differences(run.environment)
    for key, (first, second) in apart.items():
        yield f"{key} differs: {first} against {second}"


def _is_in_blocks(old: Sequence[ComparableRun], new: Sequence[ComparableRun]) -> bool:
    """Whether one side was finished before the other began, so that drift looks like change."""
    times_old, times_new = [run.created_at for run in old], [run.created_at for run in new]
    return max(times_old) < min(times_new) or max(times_new) < min(times_old)


def _drift_is_known(series: Sequence[Sequence[float]]) -> bool:
    return len(series) > MIN_SUCCESSIVE_DIFFERENCES


def _history_by_workload(
    past: Iterable[HistoricalRun], renamed: Mapping[str, str]
) -> dict[str, list[list[float]]]:
    """The logarithms of the history by workload, in order of time, runs of the same code together."""
    by_code: dict[str, dict[str, list[float]]] = {}
    for place, run in enumerate(sorted(past, key=lambda run: run.created_at)):
        code = run.commit if run.commit and not run.dirty else f"unknown {place}"
        for name, seconds in run.seconds_per_item.items():
            if seconds > 0:
                by_code.setdefault(renamed.get(name, name), {}).setdefault(code, []).append(log(seconds))
    return {name: list(codes.values()) for name, codes in by_code.items()}


def _judge_time(
    name: str,
    old: Sequence[Measurement],
    new: Sequence[Measurement],
    series: list[list[float]],
    rule: SpreadRule,
) -> Verdict:
    units = {took.unit for took in (*old, *new)}
    if len(units) > 1:
        reason = f"counts different things: {' and '.join(sorted(units))}"
        return Verdict(name, "time", Outcome.UNCLEAR, reason)
    seconds_old, seconds_new = _seconds_per_item(old), _seconds_per_item(new)
    if min(*seconds_old, *seconds_new) <= 0:
        return Verdict(name, "time", Outcome.UNCLEAR, "a median of 0 s is below the grain of the clock")
    return rule.judge(name, [*map(log, seconds_old)], [*map(log, seconds_new)], series)


def _seconds_per_item(taken: Sequence[Measurement]) -> list[float]:
    return [took.median_seconds_per_call / took.items_per_call for took in taken if took.seconds_per_call]
