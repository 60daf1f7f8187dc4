"""Floors and ceilings: what must hold of one workload, judged by intervals and not by one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from perfsuite.errors import UsageError
from perfsuite.judge.order_statistics import median_interval, quantile, quantile_interval
from perfsuite.judge.units import MetricKind, format_quantity, parse_quantity
from perfsuite.judge.verdict import Interval, Outcome, Verdict
from perfsuite.measure.measurement import Measurement

RATE_SUFFIX = "_per_second"
RATIO_METRICS = ("overhead", "speedup")  # of two workloads in turns
MORE_IS_BETTER = ("speedup", "gpu_utilization")


class LimitType(StrEnum):
    FLOOR = "floor"
    CEILING = "ceiling"


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound on one metric: `floor(images_per_second=50)`, `ceiling(p95="50 ms")`.

    >>> Limit.parse(LimitType.FLOOR, "images_per_second", 50)
    Limit(limit_type=<LimitType.FLOOR: 'floor'>, metric='images_per_second', bound=50.0)
    """

    limit_type: LimitType
    metric: str
    bound: float

    @classmethod
    def parse(cls, side: LimitType, metric: str, bound: object) -> Limit:
        """A limit from a marker's or a file's words; raises UsageError where it makes no sense."""
        who = f"{side}({metric})"
        kind = metric_kind(metric)
        more_is_better = kind is MetricKind.RATE or metric in MORE_IS_BETTER
        if side is LimitType.CEILING and more_is_better:
            raise UsageError(f"{who}: more of it is better, so it wants a floor")
        if side is LimitType.FLOOR and not more_is_better:
            raise UsageError(f"{who}: less of it is better, so it wants a ceiling")
        return cls(side, metric, parse_quantity(bound, kind, who))

    @property
    def kind(self) -> MetricKind:
        return metric_kind(self.metric)

    def __str__(self) -> str:
        sign = ">=" if self.limit_type is LimitType.FLOOR else "<="
        return f"{self.metric} {sign} {format_quantity(self.bound, self.kind)}"


@dataclass(frozen=True, slots=True)
class MetricEstimate:
    """What was found of a metric. An exact one has an interval of no width."""

    estimate: float
    interval: Interval

    @classmethod
    def exact(cls, value: float) -> MetricEstimate:
        return cls(value, Interval(value, value, level=1.0))


def metric_kind(metric: str) -> MetricKind:
    if metric.endswith(RATE_SUFFIX):
        return MetricKind.RATE
    return _KINDS.get(metric, MetricKind.COUNT)


_KINDS = {
    "speedup": MetricKind.RATIO,
    "overhead": MetricKind.RATIO,
    "gpu_utilization": MetricKind.RATIO,
    "seconds_per_call": MetricKind.SECONDS,
    "p50": MetricKind.SECONDS,
    "p90": MetricKind.SECONDS,
    "p95": MetricKind.SECONDS,
    "p99": MetricKind.SECONDS,
    "peak_memory": MetricKind.BYTES,
    "peak_memory_growth": MetricKind.BYTES,
    "peak_cuda_memory": MetricKind.BYTES,
}


def judge_limit(limit: Limit, found: MetricEstimate | None, workload: str) -> Verdict:
    """Broken when the whole interval is beyond the bound, kept when it is within, else unclear.

    >>> rate = MetricEstimate(9120, Interval(8950, 9300, 0.99))
    >>> judge_limit(Limit(LimitType.FLOOR, "images_per_second", 12_000), rate, "loader").outcome
    <Outcome.BROKEN: 'broken'>
    """
    if found is None:
        return Verdict(
            workload, limit.metric, Outcome.ERROR, f"{limit}: nothing was found of it", bound=limit.bound
        )
    outcome = _outcome(limit, found.interval)
    return Verdict(
        workload,
        limit.metric,
        outcome,
        _reason(limit, found, outcome),
        estimate=found.estimate,
        interval=found.interval,
        bound=limit.bound,
    )


def _outcome(limit: Limit, interval: Interval) -> Outcome:
    above = interval.low >= limit.bound
    below = interval.high <= limit.bound
    good, bad = (above, below) if limit.limit_type is LimitType.FLOOR else (below, above)
    return Outcome.KEPT if good else Outcome.BROKEN if bad else Outcome.UNCLEAR


def _reason(limit: Limit, found: MetricEstimate, outcome: Outcome) -> str:
    within = _describe_interval(found.interval, limit.kind)
    value, bound = format_quantity(found.estimate, limit.kind), format_quantity(limit.bound, limit.kind)
    if outcome is Outcome.UNCLEAR:
        return (
            f"{limit.metric} of {value} ({within}) spans the {limit.limit_type} of {bound};"
            " take more samples (--perf-max-time)"
        )
    if outcome is Outcome.KEPT:
        return f"{limit.metric} of {value} keeps the {limit.limit_type} of {bound} ({within})"
    beyond = "below the floor" if limit.limit_type is LimitType.FLOOR else "above the ceiling"
    return f"{limit.metric} of {value} is {beyond} of {bound} ({within})"


def _describe_interval(interval: Interval, kind: MetricKind) -> str:
    if interval.low == interval.high:
        return "exact"
    if not isfinite(interval.low) and not isfinite(interval.high):
        return "too few samples for an interval"
    chance = f"{interval.level * 100:.4g} %"
    low, high = format_quantity(interval.low, kind), format_quantity(interval.high, kind)
    return f"{low} to {high} with {chance} confidence"


def estimate_metric(metric: str, measurement: Measurement, level: float) -> MetricEstimate | None:
    """What a measurement says of a metric, with an interval of `level`; None where it says nothing."""
    samples = measurement.seconds_per_call
    if metric.endswith(RATE_SUFFIX):
        return _estimate_rate(metric, measurement, level)
    if metric == "seconds_per_call":
        return MetricEstimate(quantile(samples, 0.5), median_interval(samples, level))
    if metric_kind(metric) is MetricKind.SECONDS:
        share = int(metric[1:]) / 100
        return MetricEstimate(quantile(samples, share), quantile_interval(samples, share, level))
    if metric_kind(metric) is MetricKind.BYTES:
        return _estimate_memory(metric, measurement)
    if metric == "gpu_utilization":
        return (
            None
            if measurement.gpu is None
            else MetricEstimate.exact(measurement.gpu.utilization_percent / 100)
        )
    count = measurement.counters.get(metric)
    return None if count is None else MetricEstimate.exact(count)


def estimate_ratio(pairs: Sequence[float], level: float, less: float = 0.0) -> MetricEstimate:
    """The median of paired ratios, less what stands for "no change" (1 for an overhead)."""
    interval = median_interval(pairs, level)
    return MetricEstimate(
        quantile(pairs, 0.5) - less, Interval(interval.low - less, interval.high - less, level)
    )


def _estimate_rate(metric: str, measurement: Measurement, level: float) -> MetricEstimate | None:
    if metric not in (f"{measurement.unit}{RATE_SUFFIX}", f"items{RATE_SUFFIX}"):
        return None
    slow = median_interval(measurement.seconds_per_call, level)
    items = measurement.items_per_call
    low = items / slow.high
    high = items / slow.low if slow.low > 0 else float("inf")
    return MetricEstimate(measurement.items_per_second, Interval(low, high, level))


_MEMORY_FIELDS = {
    "peak_memory": "peak_rss_bytes",
    "peak_memory_growth": "peak_growth_bytes",
    "peak_cuda_memory": "peak_cuda_allocated_bytes",
}


def _estimate_memory(metric: str, measurement: Measurement) -> MetricEstimate | None:
    peak: int | None = getattr(measurement.memory, _MEMORY_FIELDS[metric], None)
    return None if peak is None else MetricEstimate.exact(peak)
