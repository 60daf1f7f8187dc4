"""The metrics that can have a limit: their kind, direction and estimate, one entry each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from math import inf

from perfsuite.errors import UsageError
from perfsuite.judge.order_statistics import quantile
from perfsuite.judge.serial_dependence import serial_quantile_interval
from perfsuite.judge.units import MetricKind
from perfsuite.judge.verdict import Interval
from perfsuite.measure.counters.registry import DIRECTIONS
from perfsuite.measure.gpu import GPU_METRICS
from perfsuite.measure.measurement import Measurement

RATE_SUFFIX = "_per_second"
ENERGY_PREFIX = "joules_per_"
# NVML's counter of energy moves in steps; a reading may be this old. Assumed: no GPU was there to measure it.
ENERGY_STEP_SECONDS = 0.1
_PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class MetricEstimate:
    """The value of a metric. An exact one has an interval of zero width."""

    value: float
    interval: Interval
    unseen: str = ""  # the work that was not counted, so that the value is only a lower bound
    rounds: int | None = None  # that it was estimated from; None where a passing disturbance cannot matter

    @classmethod
    def exact(cls, value: float) -> MetricEstimate:
        return cls(value, Interval(value, value, level=1.0))

    @classmethod
    def at_least(cls, value: float, unseen: str) -> MetricEstimate:
        return cls(value, Interval(value, float("inf"), level=1.0), unseen)


Estimator = Callable[[Measurement, float], MetricEstimate | None]  # measurement, confidence level


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one workload, or of two in turns (`is_ratio`), which one measurement cannot estimate."""

    name: str
    kind: MetricKind
    more_is_better: bool = False
    is_ratio: bool = False
    estimate: Estimator = lambda measurement, level: None


def seconds_interval(measurement: Measurement, level: float) -> Interval:
    """The interval of the median time of a call: limits are judged by it, and pages and exports print it."""
    return serial_quantile_interval(measurement.seconds_per_call, 0.5, level)


def rate_interval(measurement: Measurement, level: float) -> Interval:
    """The interval of the items per second."""
    seconds, items = seconds_interval(measurement, level), measurement.items_per_call
    return Interval(items / seconds.high, items / seconds.low if seconds.low > 0 else inf, level)


def _estimate_seconds_per_call(measurement: Measurement, level: float) -> MetricEstimate:
    samples = measurement.seconds_per_call
    return MetricEstimate(quantile(samples, 0.5), seconds_interval(measurement, level), rounds=len(samples))


def _estimate_percentile(percentile: int, measurement: Measurement, level: float) -> MetricEstimate:
    samples, share = measurement.seconds_per_call, percentile / 100
    return MetricEstimate(
        quantile(samples, share), serial_quantile_interval(samples, share, level), rounds=len(samples)
    )


def _estimate_rate(name: str, measurement: Measurement, level: float) -> MetricEstimate | None:
    if name not in (f"{measurement.unit}{RATE_SUFFIX}", f"items{RATE_SUFFIX}"):
        return None
    return MetricEstimate(
        measurement.items_per_second,
        rate_interval(measurement, level),
        rounds=len(measurement.seconds_per_call),
    )


def _estimate_memory(field: str, measurement: Measurement, level: float) -> MetricEstimate | None:
    peak: int | None = getattr(measurement.memory, field, None)
    return None if peak is None else MetricEstimate.exact(peak)


def _estimate_gpu(name: str, scale: float, measurement: Measurement, level: float) -> MetricEstimate | None:
    if measurement.gpu is None or name not in measurement.gpu.medians:
        return None
    return MetricEstimate.exact(measurement.gpu.medians[name] / scale)


def _estimate_energy(name: str, measurement: Measurement, level: float) -> MetricEstimate | None:
    """The energy of the whole card for one item, with the uncertainty of the counter's steps."""
    gpu, item = measurement.gpu, name.removeprefix(ENERGY_PREFIX)
    if measurement.unit not in (f"{item}s", f"{item}es", item) and item != "item":
        return None
    if gpu is None or gpu.energy_joules is None or not gpu.calls or not gpu.seconds:
        return None
    items = gpu.calls * measurement.items_per_call
    step = gpu.energy_joules / gpu.seconds * ENERGY_STEP_SECONDS
    low, high = max(0.0, gpu.energy_joules - step), gpu.energy_joules + step
    return MetricEstimate(gpu.energy_joules / items, Interval(low / items, high / items, level=1.0))


def _estimate_counter(name: str, measurement: Measurement, level: float) -> MetricEstimate | None:
    count = measurement.counters.get(name)
    if count is None:
        return None
    unseen = measurement.unseen_by_counters.get(name, "")
    return MetricEstimate.at_least(count, unseen) if unseen else MetricEstimate.exact(count)


def _all_metrics() -> Sequence[Metric]:
    memory = {
        "peak_memory": "peak_pss_bytes",
        "peak_memory_growth": "peak_growth_bytes",
        "peak_cuda_memory": "peak_cuda_allocated_bytes",
        "peak_cuda_reserved_memory": "peak_cuda_reserved_bytes",
    }
    return (
        Metric("overhead", MetricKind.RATIO, is_ratio=True),
        Metric("overhead_share", MetricKind.RATIO, is_ratio=True),
        Metric("speedup", MetricKind.RATIO, more_is_better=True, is_ratio=True),
        Metric("seconds_per_call", MetricKind.SECONDS, estimate=_estimate_seconds_per_call),
        *(
            Metric(f"p{percentile}", MetricKind.SECONDS, estimate=partial(_estimate_percentile, percentile))
            for percentile in _PERCENTILES
        ),
        *(
            Metric(name, MetricKind.BYTES, estimate=partial(_estimate_memory, field))
            for name, field in memory.items()
        ),
        Metric(
            "gpu_utilization",
            MetricKind.RATIO,
            more_is_better=True,
            estimate=partial(_estimate_gpu, "utilization_percent", 100),
        ),
        *(
            Metric(
                f"gpu_{metric.name}",
                MetricKind.NUMBER,
                more_is_better=metric.more_is_better,
                estimate=partial(_estimate_gpu, metric.name, 1),
            )
            for metric in GPU_METRICS
        ),
        *(_counter_metric(name) for name in DIRECTIONS),
    )


def _counter_metric(name: str) -> Metric:
    return Metric(name, MetricKind.COUNT, estimate=partial(_estimate_counter, name))


METRICS = {metric.name: metric for metric in _all_metrics()}
_MEASURED = [metric.name for metric in METRICS.values() if metric.kind is not MetricKind.COUNT]


def find_metric(name: str) -> Metric:
    """The metric of a name: an entry of METRICS, a rate, an energy, or a counter of the project.

    Rates are such as `images_per_second`, energies such as `joules_per_image`.

    A project counts its own events with `stages.count_event`, so an unknown name is taken for such a counter,
    unless it is similar to a metric.

    >>> find_metric("p59")
    Traceback (most recent call last):
    perfsuite.errors.UsageError: 'p59' is not a metric, expected for example p99 or p95 or p90; ...
    """
    if name in METRICS:
        return METRICS[name]
    if name.endswith(RATE_SUFFIX):
        return Metric(name, MetricKind.RATE, more_is_better=True, estimate=partial(_estimate_rate, name))
    if name.startswith(ENERGY_PREFIX):
        return Metric(name, MetricKind.NUMBER, estimate=partial(_estimate_energy, name))
    similar = _similar_names(name)
    if similar:
        raise UsageError(
            f"{name!r} is not a metric, expected for example {' or '.join(similar)}; known are"
            f" <unit>{RATE_SUFFIX}, {ENERGY_PREFIX}<item>, {', '.join(_MEASURED)},"
            " and counters such as host_syncs"
        )
    return _counter_metric(name)


def _similar_names(name: str) -> list[str]:
    # One letter is a large part of a short name. A project's own counter may resemble a long one.
    cutoff = 0.6 if len(name) <= 4 else 0.85
    rates = (f"images{RATE_SUFFIX}", f"items{RATE_SUFFIX}", f"batches{RATE_SUFFIX}")
    known = [*METRICS, *rates, f"{ENERGY_PREFIX}image", f"{ENERGY_PREFIX}item"]
    return get_close_matches(name, known, cutoff=cutoff)


def estimate_overhead(ratios: Sequence[float], level: float) -> MetricEstimate:
    """Time over the plain time, minus one, from the paired ratios of both.

    >>> estimate_overhead([1.486] * 8, 0.99).value.__round__(3)
    0.486
    """
    return estimate_ratio(ratios, level, less=1.0)


def estimate_overhead_share(ratios: Sequence[float], level: float) -> MetricEstimate:
    """The share of the whole time that is not plain time, from the same ratios; it is below one.

    >>> estimate_overhead_share([1.486] * 8, 0.99).value.__round__(3)
    0.327
    """
    times = serial_quantile_interval(ratios, 0.5, level)
    low = 1 - 1 / times.low if times.low > 0 else -inf
    return MetricEstimate(1 - 1 / quantile(ratios, 0.5), Interval(low, 1 - 1 / times.high, level))


def estimate_ratio(pairs: Sequence[float], level: float, less: float = 0.0) -> MetricEstimate:
    """The median of paired ratios, minus `less` (1 for an overhead)."""
    interval = serial_quantile_interval(pairs, 0.5, level)
    return MetricEstimate(
        quantile(pairs, 0.5) - less, Interval(interval.low - less, interval.high - less, level)
    )
