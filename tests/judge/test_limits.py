from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from math import inf

import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.limits import (
    Limit,
    LimitType,
    judge_limit,
)
from perfsuite.judge.metrics import MetricEstimate, estimate_ratio, find_metric
from perfsuite.judge.verdict import Interval, Outcome
from perfsuite.measure.gpu import GPU_METRICS, GpuMetric
from perfsuite.measure.measurement import GpuReadings, Measurement, MemoryPeaks


def took(
    *seconds: float,
    counters: Mapping[str, int] | None = None,
    memory: MemoryPeaks | None = None,
    gpu: GpuReadings | None = None,
) -> Measurement:
    return Measurement(
        name="w",
        seconds_per_call=seconds,
        items_per_call=10,
        unit="images",
        counters=counters or {},
        memory=memory,
        gpu=gpu,
    )


def gpu_readings(utilization_percent: float) -> GpuReadings:
    medians = {"utilization_percent": utilization_percent, "power_watts": 600.0}
    return GpuReadings(medians=medians, energy_joules=1000.0)


def found(low: float, high: float) -> MetricEstimate:
    return MetricEstimate((low + high) / 2, Interval(low, high, 0.99))


@pytest.mark.parametrize(
    ("side", "metric", "low", "high", "outcome"),
    [
        (LimitType.FLOOR, "images_per_second", 101, 120, Outcome.KEPT),
        (LimitType.FLOOR, "images_per_second", 100, 120, Outcome.KEPT),
        (LimitType.FLOOR, "images_per_second", 80, 99, Outcome.BROKEN),
        (LimitType.FLOOR, "images_per_second", 80, 120, Outcome.UNCLEAR),
        (LimitType.FLOOR, "images_per_second", 0, inf, Outcome.UNCLEAR),
        (LimitType.CEILING, "overhead", 80, 99, Outcome.KEPT),
        (LimitType.CEILING, "overhead", 101, 120, Outcome.BROKEN),
        (LimitType.CEILING, "overhead", 80, 120, Outcome.UNCLEAR),
        (LimitType.FLOOR, "speedup", 80, 99, Outcome.BROKEN),
    ],
)
def test_the_whole_interval_decides(
    side: LimitType, metric: str, low: float, high: float, outcome: Outcome
) -> None:
    assert judge_limit(Limit(side, metric, 100.0), found(low, high), "w").outcome is outcome


def test_a_metric_without_a_value_is_an_error_and_not_kept() -> None:
    verdict = judge_limit(Limit(LimitType.CEILING, "casts", 0), None, "w")
    assert verdict.outcome is Outcome.ERROR
    assert verdict.is_red


@pytest.mark.parametrize("metric", ["images_per_second", "items_per_second"])
def test_a_rate_is_items_over_the_median(metric: str) -> None:
    rate = find_metric(metric).estimate(took(*[0.1] * 8, 9.0), 0.99)
    assert rate is not None
    assert rate.value == pytest.approx(100)
    assert rate.interval.low <= 100 <= rate.interval.high


def test_a_rate_of_another_unit_has_no_value() -> None:
    assert find_metric("batches_per_second").estimate(took(0.1), 0.99) is None


def test_a_slower_workload_has_a_lower_rate() -> None:
    slow, fast = (find_metric("images_per_second").estimate(took(*[s] * 9), 0.99) for s in (0.2, 0.1))
    assert slow is not None
    assert fast is not None
    assert slow.interval.high < fast.interval.low


def test_a_zero_time_leaves_the_rate_open_above() -> None:
    rate = find_metric("images_per_second").estimate(took(*[0.0] * 8, *[0.1] * 9), 0.99)
    assert rate is not None
    assert rate.interval.high == inf


def test_counters_and_memory_are_exact() -> None:
    seen = took(0.1, counters={"casts": 2}, memory=MemoryPeaks(peak_pss_bytes=2**20))
    casts, memory = find_metric("casts").estimate(seen, 0.99), find_metric("peak_memory").estimate(seen, 0.99)
    assert casts == MetricEstimate.exact(2)
    assert memory == MetricEstimate.exact(2**20)
    assert find_metric("peak_cuda_memory").estimate(seen, 0.99) is None
    assert find_metric("host_syncs").estimate(seen, 0.99) is None


UNSEEN = "work in other threads is not counted (1 worked during the call)"


@pytest.mark.parametrize(
    ("seen", "outcome"), [(0, Outcome.UNCLEAR), (2, Outcome.UNCLEAR), (3, Outcome.BROKEN)]
)
def test_a_lower_bound_breaks_a_ceiling_and_never_keeps_it(seen: int, outcome: Outcome) -> None:
    measurement = replace(took(0.1, counters={"casts": seen}), unseen_by_counters={"casts": UNSEEN})
    limit = Limit.parse(LimitType.CEILING, "casts", 2)
    verdict = judge_limit(limit, find_metric("casts").estimate(measurement, 0.99), "w")
    assert verdict.outcome is outcome
    assert verdict.reason.endswith(UNSEEN)
    exact = judge_limit(limit, find_metric("casts").estimate(took(0.1, counters={"casts": seen}), 0.99), "w")
    assert exact.outcome is (Outcome.BROKEN if seen > 2 else Outcome.KEPT)


def test_reserved_device_memory_has_a_limit_of_its_own() -> None:
    seen = took(0.1, memory=MemoryPeaks(peak_cuda_reserved_bytes=2**30))
    estimate = find_metric("peak_cuda_reserved_memory").estimate(seen, 0.99)
    assert estimate == MetricEstimate.exact(2**30)


def energy(joules: float | None, seconds: float, calls: int) -> Measurement:
    readings = GpuReadings(medians={}, energy_joules=joules, seconds=seconds, calls=calls)
    return took(0.1, gpu=readings)  # 10 images a call


@pytest.mark.parametrize("metric", ["joules_per_image", "joules_per_item"])
@pytest.mark.parametrize(
    ("bound", "outcome"), [(0.506, Outcome.KEPT), (0.5, Outcome.UNCLEAR), (0.494, Outcome.BROKEN)]
)
def test_the_energy_of_an_item_is_that_of_all_calls(metric: str, bound: float, outcome: Outcome) -> None:
    """500 J in 10 s for 1,000 images; a reading may be 0.1 s old, which is 5 J."""
    limit = Limit.parse(LimitType.CEILING, metric, bound)
    estimate = find_metric(metric).estimate(energy(500.0, seconds=10.0, calls=100), 0.99)
    assert estimate is not None
    assert estimate.value == pytest.approx(0.5)
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((0.495, 0.505))
    assert judge_limit(limit, estimate, "w").outcome is outcome


@pytest.mark.parametrize(
    "measurement",
    [
        took(0.1),
        energy(None, seconds=10.0, calls=100),  # a MIG instance
        energy(500.0, seconds=0.0, calls=0),  # a run of an older version
    ],
    ids=["no GPU", "unknown energy", "unknown calls"],
)
def test_without_energy_its_ceiling_is_an_error_and_not_kept(measurement: Measurement) -> None:
    limit = Limit.parse(LimitType.CEILING, "joules_per_image", 1e9)
    verdict = judge_limit(limit, limit.definition.estimate(measurement, 0.99), "w")
    assert verdict.outcome is Outcome.ERROR
    assert "a device whose energy NVML knows" in verdict.reason


def test_the_energy_of_another_unit_has_no_value() -> None:
    measured = energy(500.0, seconds=10.0, calls=100)
    assert find_metric("joules_per_batch").estimate(measured, 0.99) is None
    batches = replace(measured, unit="batches")
    assert find_metric("joules_per_batch").estimate(batches, 0.99) is not None


def test_a_ceiling_on_launches_is_not_kept_without_a_device() -> None:
    """Negative control: a machine without a GPU does not pass for one that launches nothing."""
    limit = Limit.parse(LimitType.CEILING, "kernel_launches", 100)
    absent, counted, more = (
        judge_limit(limit, limit.definition.estimate(took(0.1, counters=counters), 0.99), "w")
        for counters in ({"casts": 0}, {"kernel_launches": 100}, {"kernel_launches": 101})
    )
    assert (absent.outcome, counted.outcome, more.outcome) == (Outcome.ERROR, Outcome.KEPT, Outcome.BROKEN)
    assert "where torch uses a CUDA device" in absent.reason


def test_gpu_utilization_has_a_floor_and_no_value_without_a_gpu() -> None:
    limit = Limit.parse(LimitType.FLOOR, "gpu_utilization", "90 %")
    busy = find_metric("gpu_utilization").estimate(took(0.1, gpu=gpu_readings(93.0)), 0.99)
    assert judge_limit(limit, busy, "w").outcome is Outcome.KEPT
    idle = find_metric("gpu_utilization").estimate(took(0.1, gpu=gpu_readings(60.0)), 0.99)
    assert judge_limit(limit, idle, "w").outcome is Outcome.BROKEN
    assert find_metric("gpu_utilization").estimate(took(0.1), 0.99) is None
    unread = judge_limit(limit, None, "w")
    assert unread.outcome is Outcome.ERROR
    assert "NVML did not read it" in unread.reason
    with pytest.raises(UsageError, match="expected a floor"):
        Limit.parse(LimitType.CEILING, "gpu_utilization", 0.9)


def test_percentiles_are_of_single_rounds() -> None:
    values = [float(number) for number in range(1, 401)]
    random.Random(1).shuffle(values)  # in this order they would be one long drift
    seen = took(*values)
    p95 = find_metric("p95").estimate(seen, 0.99)
    assert p95 is not None
    assert p95.value == pytest.approx(380, abs=1)
    assert p95.interval.low < 380 < p95.interval.high < 400


def test_the_overhead_of_equal_times_is_zero_and_of_double_time_is_one() -> None:
    assert estimate_ratio([1.0] * 9, 0.99, less=1.0).value == 0
    assert estimate_ratio([2.0] * 9, 0.99, less=1.0).value == 1


@pytest.mark.parametrize(
    ("side", "metric"),
    [
        (LimitType.CEILING, "images_per_second"),
        (LimitType.CEILING, "speedup"),
        (LimitType.FLOOR, "overhead"),
        (LimitType.FLOOR, "peak_memory"),
        (LimitType.FLOOR, "casts"),
    ],
)
def test_a_limit_on_the_wrong_side_is_refused(side: LimitType, metric: str) -> None:
    with pytest.raises(UsageError, match=r"expected a (floor|ceiling)"):
        Limit.parse(side, metric, 1)


def test_reasons_state_value_bound_and_cure() -> None:
    limit = Limit.parse(LimitType.CEILING, "p95", "50 ms")
    assert judge_limit(limit, found(0.04, 0.06), "w").reason == (
        "p95 of 50.0 ms (40.0 ms to 60.0 ms with 99 % confidence) spans the ceiling of 50.0 ms;"
        " take more samples (--perf-max-time)"
    )
    assert "is above the ceiling" in judge_limit(limit, found(0.06, 0.07), "w").reason
    assert str(limit) == "p95 <= 50.0 ms"


@pytest.mark.parametrize("typo", ["p59", "p9", "peak_memry", "overhaed", "opened_file", "images_per_secnd"])
def test_a_misspelled_metric_is_refused_with_the_right_name(typo: str) -> None:
    with pytest.raises(
        UsageError, match=rf"ceiling\({typo}\): '{typo}' is not a metric, expected for example"
    ):
        Limit.parse(LimitType.CEILING, typo, 1)


def test_a_counter_of_the_project_may_have_a_ceiling() -> None:
    """The negative control: a name that resembles no metric is a counter that the project reports itself."""
    limit = Limit.parse(LimitType.CEILING, "decoded_frames", 3)
    estimate = limit.definition.estimate(took(0.1, counters={"decoded_frames": 4}), 0.99)
    assert judge_limit(limit, estimate, "w").outcome is Outcome.BROKEN


@pytest.mark.parametrize("metric", GPU_METRICS, ids=lambda metric: str(metric.name))
def test_every_gpu_metric_can_have_a_limit(metric: GpuMetric) -> None:
    limit_type = LimitType.FLOOR if metric.more_is_better else LimitType.CEILING
    limit = Limit.parse(limit_type, f"gpu_{metric.name}", 1.5)
    readings = GpuReadings(medians={metric.name: 1.5}, energy_joules=0.0)
    assert limit.definition.estimate(took(0.1, gpu=readings), 0.99) == MetricEstimate.exact(1.5)
