"""Floors and ceilings: what must hold of one workload, judged by intervals and not by one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from perfsuite.errors import UsageError
from perfsuite.judge.statistics import interval_of_median, interval_of_quantile, quantile
from perfsuite.judge.units import Kind, parse, show
from perfsuite.judge.verdict import Interval, Outcome, Verdict
from perfsuite.measure.measurement import Measurement

RATE_SUFFIX = "_per_second"
RATIO_METRICS = ("overhead", "speedup")  # of two workloads in turns
MORE_IS_BETTER = ("speedup", "gpu_utilisation")


class Side(StrEnum):
    FLOOR = "floor"
    CEILING = "ceiling"


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound on one metric: `floor(images_per_second=50)`, `ceiling(p95="50 ms")`.

    >>> Limit.written(Side.FLOOR, "images_per_second", 50)
    Limit(side=<Side.FLOOR: 'floor'>, metric='images_per_second', bound=50.0)
    """

    side: Side
    metric: str
    bound: float

    @classmethod
    def written(cls, side: Side, metric: str, bound: object) -> Limit:
        """A limit from a marker's or a file's words; raises UsageError where it makes no sense."""
        who = f"{side}({metric})"
        kind = kind_of(metric)
        more_is_better = kind is Kind.RATE or metric in MORE_IS_BETTER
        if side is Side.CEILING and more_is_better:
            raise UsageError(f"{who}: more of it is better, so it wants a floor")
        if side is Side.FLOOR and not more_is_better:
            raise UsageError(f"{who}: less of it is better, so it wants a ceiling")
        return cls(side, metric, parse(bound, kind, who))

    @property
    def kind(self) -> Kind:
        return kind_of(self.metric)

    def __str__(self) -> str:
        sign = ">=" if self.side is Side.FLOOR else "<="
        return f"{self.metric} {sign} {show(self.bound, self.kind)}"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a metric. An exact one has an interval of no width."""

    estimate: float
    interval: Interval

    @classmethod
    def exactly(cls, value: float) -> Found:
        return cls(value, Interval(value, value, level=1.0))


def kind_of(metric: str) -> Kind:
    if metric.endswith(RATE_SUFFIX):
        return Kind.RATE
    return _KINDS.get(metric, Kind.COUNT)


_KINDS = {
    "speedup": Kind.RATIO,
    "overhead": Kind.RATIO,
    "gpu_utilisation": Kind.RATIO,
    "seconds_per_call": Kind.SECONDS,
    "p50": Kind.SECONDS,
    "p90": Kind.SECONDS,
    "p95": Kind.SECONDS,
    "p99": Kind.SECONDS,
    "peak_memory": Kind.BYTES,
    "peak_memory_growth": Kind.BYTES,
    "peak_cuda_memory": Kind.BYTES,
}


def judge(limit: Limit, found: Found | None, workload: str) -> Verdict:
    """Broken when the whole interval is beyond the bound, kept when it is within, else unclear.

    >>> rate = Found(9120, Interval(8950, 9300, 0.99))
    >>> judge(Limit(Side.FLOOR, "images_per_second", 12_000), rate, "loader").outcome
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
    good, bad = (above, below) if limit.side is Side.FLOOR else (below, above)
    return Outcome.KEPT if good else Outcome.BROKEN if bad else Outcome.UNCLEAR


def _reason(limit: Limit, found: Found, outcome: Outcome) -> str:
    within = _interval_in_words(found.interval, limit.kind)
    value, bound = show(found.estimate, limit.kind), show(limit.bound, limit.kind)
    if outcome is Outcome.UNCLEAR:
        return (
            f"{limit.metric} of {value} ({within}) spans the {limit.side} of {bound};"
            " take more samples (--perf-max-time)"
        )
    if outcome is Outcome.KEPT:
        return f"{limit.metric} of {value} keeps the {limit.side} of {bound} ({within})"
    beyond = "below the floor" if limit.side is Side.FLOOR else "above the ceiling"
    return f"{limit.metric} of {value} is {beyond} of {bound} ({within})"


def _interval_in_words(interval: Interval, kind: Kind) -> str:
    if interval.low == interval.high:
        return "exact"
    if not isfinite(interval.low) and not isfinite(interval.high):
        return "too few samples for an interval"
    chance = f"{interval.level * 100:.4g} %"
    return f"{show(interval.low, kind)} to {show(interval.high, kind)} with {chance} confidence"


def find(metric: str, measurement: Measurement, level: float) -> Found | None:
    """What a measurement says of a metric, with an interval of `level`; None where it says nothing."""
    samples = measurement.seconds_per_call
    if metric.endswith(RATE_SUFFIX):
        return _found_rate(metric, measurement, level)
    if metric == "seconds_per_call":
        return Found(quantile(samples, 0.5), interval_of_median(samples, level))
    if kind_of(metric) is Kind.SECONDS:
        share = int(metric[1:]) / 100
        return Found(quantile(samples, share), interval_of_quantile(samples, share, level))
    if kind_of(metric) is Kind.BYTES:
        return _found_memory(metric, measurement)
    if metric == "gpu_utilisation":
        return None if measurement.gpu is None else Found.exactly(measurement.gpu.utilisation_percent / 100)
    count = measurement.counters.get(metric)
    return None if count is None else Found.exactly(count)


def found_ratio(pairs: Sequence[float], level: float, less: float = 0.0) -> Found:
    """The median of paired ratios, less what stands for "no change" (1 for an overhead)."""
    interval = interval_of_median(pairs, level)
    return Found(quantile(pairs, 0.5) - less, Interval(interval.low - less, interval.high - less, level))


def _found_rate(metric: str, measurement: Measurement, level: float) -> Found | None:
    if metric not in (f"{measurement.unit}{RATE_SUFFIX}", f"items{RATE_SUFFIX}"):
        return None
    slow = interval_of_median(measurement.seconds_per_call, level)
    items = measurement.items_per_call
    low = items / slow.high
    high = items / slow.low if slow.low > 0 else float("inf")
    return Found(measurement.items_per_second, Interval(low, high, level))


_MEMORY = {
    "peak_memory": "peak_rss_bytes",
    "peak_memory_growth": "peak_growth_bytes",
    "peak_cuda_memory": "peak_cuda_allocated_bytes",
}


def _found_memory(metric: str, measurement: Measurement) -> Found | None:
    peak: int | None = getattr(measurement.memory, _MEMORY[metric], None)
    return None if peak is None else Found.exactly(peak)
