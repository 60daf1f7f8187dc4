"""Plots of the measurements of one run."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from perfsuite.judge.metrics import ENERGY_PREFIX, find_metric, rate_interval, seconds_interval
from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.units import MetricKind, format_significant
from perfsuite.measure.measurement import Measurement
from perfsuite.report.page.document import Table
from perfsuite.report.page.plots import (
    Bar,
    BarPlot,
    Distribution,
    LinePlot,
    LinePoint,
    LineSeries,
    SampleGroup,
    StackedBar,
    StackedBarPlot,
)
from perfsuite.report.page.quantities import format_interval_of, format_value
from perfsuite.report.terminal.workload_name import label_of, parse_workload_name

LEVEL = 0.99
MAX_ARMS = 16  # of one plot
MAX_PLOTS = 40  # of one kind, so that a page of hundreds of benchmarks stays readable
_GPU_COLUMNS = {"busy %": "utilization_percent", "SM MHz": "sm_clock_mhz", "watts": "power_watts"}
_WORKERS = re.compile(r"(?<![\w.])(\d+)[ _-]?workers?\b|\b(?:num_)?workers?[ =_-]?(\d+)")

Results = Sequence[WorkloadRunResult]


def rate_table(results: Results) -> Table:
    """The time of a call with its interval, and the rate."""
    rows = []
    for result in results:
        each, interval = result.measurement, seconds_interval(result.measurement, LEVEL)
        rows.append(
            (
                label_of(each.name),
                format_value(each.median_seconds_per_call, MetricKind.SECONDS),
                format_interval_of(interval.low, interval.high, MetricKind.SECONDS),
                format_value(each.items_per_second, MetricKind.RATE),
                each.unit,
                f"{len(each.seconds_per_call):,}",
            )
        )
    return Table(
        columns=("workload", "time of a call", "99 %", "rate", "of", "rounds"),
        rows=tuple(rows),
        caption="Medians; of few rounds the interval is unbounded",
    )


def gpu_table(results: Results) -> tuple[Table, ...]:
    """NVML's readings while each workload was sampled, where there are any."""
    rows = []
    for result in results:
        each, gpu = result.measurement, result.measurement.gpu
        if gpu is not None:
            joules = find_metric(f"{ENERGY_PREFIX}item").estimate(each, LEVEL)
            rows.append(
                (
                    label_of(each.name),
                    *(_reading(gpu.medians.get(name)) for name in _GPU_COLUMNS.values()),
                    _reading(None if joules is None else joules.value),
                    ", ".join(gpu.throttled) or "no",
                )
            )
    columns = ("workload", *_GPU_COLUMNS, "joules per item", "throttled")
    caption = "Medians of NVML; the energy is that of the whole card"
    return (Table(columns=columns, rows=tuple(rows), caption=caption),) if rows else ()


def _reading(value: float | None) -> str:
    return "" if value is None else format_significant(value)


def compare_arms(results: Results) -> tuple[BarPlot, ...]:
    """The time of an item in each arm of a test, where it has several: modes, engines, libraries."""
    plots = []
    for test, arms in _by_test(results).items():
        if 1 < len(arms) <= MAX_ARMS:
            bars = []
            for arm, each in arms.items():
                interval, items = seconds_interval(each, LEVEL), each.items_per_call
                value = each.median_seconds_per_call / items
                bars.append(Bar(arm, value, interval.low / items, interval.high / items))
            plots.append(
                BarPlot(
                    title=test,
                    value_label="time of an item",
                    bars=tuple(bars),
                    kind=MetricKind.SECONDS,
                    caption="Medians with 99 % intervals.",
                )
            )
    return tuple(plots[:MAX_PLOTS])


def plot_workers(results: Results) -> tuple[LinePlot, ...]:
    """The rate by the number of workers, where the arms of a test name it: `[4 workers]`, `[workers=4]`."""
    plots = []
    for test, arms in _by_test(results).items():
        series: dict[str, list[LinePoint]] = defaultdict(list)
        for arm, each in arms.items():
            match = _WORKERS.search(arm)
            if match is not None:
                name = (arm[: match.start()] + arm[match.end() :]).strip(" -_·[],") or test
                series[name].append(_rate_point(int(match[1] or match[2]), each))
        lines = tuple(LineSeries(name, tuple(points)) for name, points in series.items() if len(points) > 1)
        if lines:
            plots.append(
                LinePlot(
                    title=test,
                    x_label="workers",
                    y_label="items per second",
                    series=lines,
                    kind=MetricKind.RATE,
                )
            )
    return tuple(plots[:MAX_PLOTS])


def plot_samples(results: Results) -> tuple[Distribution, ...]:
    """The distribution of the samples, test by test: times of batches, where a call is a batch."""
    return tuple(
        Distribution(
            title=test,
            value_label="time of a call",
            groups=tuple(
                SampleGroup(arm, each.seconds_per_call) for arm, each in list(arms.items())[:MAX_ARMS]
            ),
        )
        for test, arms in list(_by_test(results).items())[:MAX_PLOTS]
    )


def plot_stages(results: Results) -> tuple[StackedBarPlot, ...]:
    """What each stage takes of a call."""
    plots = []
    for test, arms in _by_test(results).items():
        staged = {arm: each for arm, each in arms.items() if each.seconds_per_call_by_stage}
        if staged:
            bars = tuple(
                StackedBar(arm, dict(each.seconds_per_call_by_stage))
                for arm, each in list(staged.items())[:MAX_ARMS]
            )
            plots.append(
                StackedBarPlot(
                    title=test,
                    value_label="time of a call by stage",
                    bars=bars,
                    kind=MetricKind.SECONDS,
                    caption="Stages are timed in calls of their own.",
                )
            )
    return tuple(plots[:MAX_PLOTS])


def plot_memory(results: Results) -> tuple[BarPlot, ...]:
    """Peaks of the host and of the device."""
    kinds = {
        "peak_growth_bytes": "Growth of host memory during a call",
        "peak_cuda_allocated_bytes": "Peak of allocated device memory",
    }
    plots = []
    for field, title in kinds.items():
        sizes = {
            label_of(result.measurement.name): getattr(result.measurement.memory, field, None)
            for result in results
        }
        bars = tuple(Bar(name, size) for name, size in sizes.items() if size)
        if bars:
            plots.append(
                BarPlot(title=title, value_label="memory", bars=bars[:MAX_PLOTS], kind=MetricKind.BYTES)
            )
    return tuple(plots)


def _by_test(results: Results) -> dict[str, dict[str, Measurement]]:
    """Measurements by test and arm; parameters in brackets are part of the arm."""
    tests: dict[str, dict[str, Measurement]] = defaultdict(dict)
    for result in results:
        name = parse_workload_name(result.measurement.name)
        test, _, parameters = name.test.partition("[")
        arm = " · ".join(part for part in (parameters.removesuffix("]"), name.arm) if part)
        tests[f"{name.module}: {test}"][arm or test] = result.measurement
    return tests


def _rate_point(workers: int, measurement: Measurement) -> LinePoint:
    interval = rate_interval(measurement, LEVEL)
    return LinePoint(workers, measurement.items_per_second, interval.low, interval.high)
