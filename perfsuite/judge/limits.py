"""Floors and ceilings of one workload's metrics, judged by confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from perfsuite.errors import UsageError
from perfsuite.judge.metrics import (
    ENERGY_PREFIX,
    METRICS,
    RATE_SUFFIX,
    Metric,
    MetricEstimate,
    find_metric,
)
from perfsuite.judge.serial_dependence import MAX_DISTURBANCE
from perfsuite.judge.units import MetricKind, format_quantity, parse_quantity
from perfsuite.judge.verdict import Interval, Outcome, Verdict
from perfsuite.measure.counters.registry import DEVICE_COUNTERS

# In fewer rounds, a neighbor that is there the whole time cannot be told from slow code. One that stays for
# 20 rounds on average stays for 200 once in 28,000.
MIN_ROUNDS_TO_BREAK = 200


class LimitType(StrEnum):
    FLOOR = "floor"
    CEILING = "ceiling"


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound of one metric, such as `floor(images_per_second=50)` or `ceiling(p95="50 ms")`.

    >>> Limit.parse(LimitType.FLOOR, "images_per_second", 50)
    Limit(limit_type=<LimitType.FLOOR: 'floor'>, metric='images_per_second', bound=50.0)
    """

    limit_type: LimitType
    metric: str
    bound: float

    @classmethod
    def parse(cls, limit_type: LimitType, name: str, bound: object) -> Limit:
        """Make a limit from a marker or a file; raises UsageError if it makes no sense."""
        who = f"{limit_type}({name})"
        try:
            metric = find_metric(name)
        except UsageError as error:
            raise UsageError(f"{who}: {error}") from error
        if limit_type is LimitType.CEILING and metric.more_is_better:
            raise UsageError(f"{who}: more is better, expected a floor")
        if limit_type is LimitType.FLOOR and not metric.more_is_better:
            raise UsageError(f"{who}: less is better, expected a ceiling")
        return cls(limit_type, name, parse_quantity(bound, metric.kind, who))

    @property
    def definition(self) -> Metric:
        return find_metric(self.metric)

    @property
    def kind(self) -> MetricKind:
        return self.definition.kind

    @property
    def is_of_ratio(self) -> bool:
        """Whether the metric compares two workloads in turns."""
        return self.definition.is_ratio

    def __str__(self) -> str:
        sign = ">=" if self.limit_type is LimitType.FLOOR else "<="
        return f"{self.metric} {sign} {format_quantity(self.bound, self.kind)}"


SAMPLE_LONGER = "take more samples (--perf-max-time)"


def judge_limit(
    limit: Limit, estimate: MetricEstimate | None, workload: str, sample_longer: str = SAMPLE_LONGER
) -> Verdict:
    """Broken if the whole interval is beyond the bound, kept if it is within, otherwise unclear.

    Fewer rounds than `MIN_ROUNDS_TO_BREAK` break only what is missed by more than `MAX_DISTURBANCE`. Where
    more samples could decide, the reason advises `sample_longer`.

    >>> rate = MetricEstimate(9120, Interval(8950, 9300, 0.99))
    >>> judge_limit(Limit(LimitType.FLOOR, "images_per_second", 12_000), rate, "loader").outcome
    <Outcome.BROKEN: 'broken'>
    """
    if estimate is None:
        return Verdict(
            workload=workload,
            metric=limit.metric,
            outcome=Outcome.ERROR,
            reason=f"{limit}: the workload has no {limit.metric}, expected a value{_hint(limit)}",
            bound=limit.bound,
        )
    outcome = _outcome(limit, estimate)
    if outcome is Outcome.BROKEN and _may_be_disturbed(limit, estimate):
        outcome = Outcome.UNCLEAR
    return Verdict(
        workload=workload,
        metric=limit.metric,
        outcome=outcome,
        reason=_reason(limit, estimate, outcome, sample_longer),
        estimate=estimate.value,
        interval=estimate.interval,
        bound=limit.bound,
    )


def _hint(limit: Limit) -> str:
    if limit.kind is MetricKind.RATE:
        unit = limit.metric.removesuffix(RATE_SUFFIX)
        return f'; say how many one call handles: perf(..., items=32, unit="{unit}")'
    if limit.metric in DEVICE_COUNTERS:
        return "; it is counted where torch uses a CUDA device that its profiler may trace"
    if limit.metric.startswith("gpu_"):
        return "; NVML did not read it the whole time (perfsuite doctor says why)"
    if limit.metric.startswith(ENERGY_PREFIX):
        return "; it needs perf(..., items=32, unit=...), and a device whose energy NVML knows"
    if limit.kind is not MetricKind.COUNT or limit.metric in METRICS:
        return ""
    return f"; announce it with stages.count_event({limit.metric!r}, 0) where it may not happen"


def _outcome(limit: Limit, estimate: MetricEstimate) -> Outcome:
    interval = estimate.interval
    if estimate.unseen:  # a lower bound can break a ceiling, and never keep it
        return Outcome.BROKEN if interval.low > limit.bound else Outcome.UNCLEAR
    above = interval.low >= limit.bound
    below = interval.high <= limit.bound
    good, bad = (above, below) if limit.limit_type is LimitType.FLOOR else (below, above)
    return Outcome.KEPT if good else Outcome.BROKEN if bad else Outcome.UNCLEAR


def _may_be_disturbed(limit: Limit, estimate: MetricEstimate) -> bool:
    """Whether a neighbor that was there in every round may be why the interval is beyond the bound."""
    if estimate.rounds is None or estimate.rounds >= MIN_ROUNDS_TO_BREAK:
        return False
    if limit.limit_type is LimitType.FLOOR:
        return estimate.interval.high * MAX_DISTURBANCE >= limit.bound
    return estimate.interval.low <= limit.bound * MAX_DISTURBANCE


def _reason(limit: Limit, estimate: MetricEstimate, outcome: Outcome, sample_longer: str) -> str:
    interval = _describe_interval(estimate.interval, limit.kind)
    value, bound = format_quantity(estimate.value, limit.kind), format_quantity(limit.bound, limit.kind)
    if estimate.unseen:
        comparison = "is above" if outcome is Outcome.BROKEN else "may be above"
        return (
            f"{limit.metric} of at least {value} {comparison} the {limit.limit_type} of {bound}: "
            f"{estimate.unseen}"
        )
    beyond = "below the floor" if limit.limit_type is LimitType.FLOOR else "above the ceiling"
    if outcome is Outcome.UNCLEAR and _outcome(limit, estimate) is Outcome.BROKEN:
        return (
            f"{limit.metric} of {value} is {beyond} of {bound} ({interval}), but {estimate.rounds} rounds"
            f" may all be disturbed, expected {MIN_ROUNDS_TO_BREAK}; {sample_longer}"
        )
    if outcome is Outcome.UNCLEAR:
        return (
            f"{limit.metric} of {value} ({interval}) spans the {limit.limit_type} of {bound}; {sample_longer}"
        )
    if outcome is Outcome.KEPT:
        return f"{limit.metric} of {value} keeps the {limit.limit_type} of {bound} ({interval})"
    return f"{limit.metric} of {value} is {beyond} of {bound} ({interval})"


def _describe_interval(interval: Interval, kind: MetricKind) -> str:
    if interval.low == interval.high:
        return "exact"
    if not isfinite(interval.low) and not isfinite(interval.high):
        return "too few samples for an interval"
    low, high = format_quantity(interval.low, kind), format_quantity(interval.high, kind)
    return f"{low} to {high} with {interval.level * 100:.4g} % confidence"
