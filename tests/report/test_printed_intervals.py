"""Pages and exports print the interval that limits are judged by, also where rounds depend on each other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from perfsuite.judge.limits import Limit, LimitType, judge_limit
from perfsuite.judge.metrics import find_metric
from perfsuite.judge.order_statistics import median_interval
from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.units import MetricKind
from perfsuite.judge.verdict import Interval
from perfsuite.measure.measurement import Measurement
from perfsuite.report.exports.registry import EXPORTS
from perfsuite.report.page.plots import BarPlot, LinePlot
from perfsuite.report.page.quantities import format_interval_of
from perfsuite.report.pages.run_plots import compare_arms, plot_workers, rate_table
from perfsuite.store.run import Run
from tests.store.sample_runs import HERE

TEST = "benchmarks/test_loaders.py::test_load"
NAME = f"{TEST}[1 workers]"
# A neighbor that comes and goes: 400 rounds at two speeds, 40 at a time.
SECONDS = tuple((0.010 + 1e-5 * (round_ % 7)) * (1.2 if round_ // 40 % 2 else 1.0) for round_ in range(400))
DEPENDENT = Measurement(NAME, SECONDS, items_per_call=8.0, unit="images")
FEW = Measurement(NAME, SECONDS[:3], items_per_call=8.0, unit="images")


def judged(metric: str, level: float, measurement: Measurement = DEPENDENT) -> Interval:
    """The interval in the verdict on a limit."""
    limit_type = LimitType.FLOOR if metric.endswith("_per_second") else LimitType.CEILING
    limit = Limit(limit_type, metric, 1.0)
    interval = judge_limit(limit, find_metric(metric).estimate(measurement, level), NAME).interval
    assert interval is not None
    return interval


def of_csv(text: str) -> tuple[float, float]:
    (row,) = csv.DictReader(io.StringIO(text))
    return float(row["low_seconds_per_call"]), float(row["high_seconds_per_call"])


def of_bmf(text: str) -> tuple[float, float]:
    latency = json.loads(text)[NAME]["latency"]
    return latency["lower_value"] / 1e9, latency["upper_value"] / 1e9


def of_prometheus(text: str) -> tuple[float, float]:
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return values["perfsuite_seconds_per_call_low"], values["perfsuite_seconds_per_call_high"]


def of_asv(text: str) -> tuple[float, float]:
    document = json.loads(text)
    row = dict(zip(document["result_columns"], document["results"][NAME], strict=False))
    return row["stats_ci_99_a"][0], row["stats_ci_99_b"][0]


READERS: dict[str, tuple[Callable[[str], tuple[float, float]], float]] = {
    "csv": (of_csv, 0.95),
    "bmf": (of_bmf, 0.95),
    "prometheus": (of_prometheus, 0.95),
    "asv": (of_asv, 0.99),
}


def exported(name: str, measurement: Measurement) -> str:
    run = Run("main", "2026-08-01T12:00:00+00:00", "c" * 40, False, HERE, {NAME: measurement})
    return EXPORTS[name].render([run])


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_an_interval_for_independent_rounds_would_be_narrower(level: float) -> None:
    """Without this, the tests below would pass with either interval."""
    narrow, interval = median_interval(SECONDS, level), judged("seconds_per_call", level)
    assert interval.low < narrow.low < narrow.high < interval.high


@pytest.mark.parametrize("name", READERS)
def test_an_export_has_the_interval_of_a_limit(name: str) -> None:
    read, level = READERS[name]
    interval = judged("seconds_per_call", level)
    assert read(exported(name, DEPENDENT)) == pytest.approx((interval.low, interval.high), rel=1e-12)


def test_the_range_of_github_action_benchmark_is_half_the_interval_of_a_limit() -> None:
    interval = judged("seconds_per_call", 0.95)
    (entry,) = json.loads(exported("github-action-benchmark", DEPENDENT))
    assert float(entry["range"]) == pytest.approx((interval.high - interval.low) / 2 * 1e3, rel=1e-5)


@pytest.mark.parametrize("name", ["csv", "bmf", "prometheus"])
def test_an_unbounded_interval_is_exported_as_the_range_of_the_samples(name: str) -> None:
    read, _ = READERS[name]
    expected = (min(FEW.seconds_per_call), max(FEW.seconds_per_call))
    assert read(exported(name, FEW)) == pytest.approx(expected, rel=1e-12)


def test_the_page_of_a_run_has_the_intervals_of_limits() -> None:
    other = Measurement(f"{TEST}[2 workers]", SECONDS, items_per_call=8.0, unit="images")
    results = [WorkloadRunResult(DEPENDENT), WorkloadRunResult(other)]
    seconds, rate = judged("seconds_per_call", 0.99), judged("images_per_second", 0.99)
    table = rate_table(results)
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["99 %"] == format_interval_of(seconds.low, seconds.high, MetricKind.SECONDS)
    (bars,), (lines,) = compare_arms(results), plot_workers(results)
    assert isinstance(bars, BarPlot)
    assert isinstance(lines, LinePlot)
    bar, point = bars.bars[0], lines.series[0].points[0]
    assert (bar.low, bar.high) == pytest.approx((seconds.low / 8, seconds.high / 8), rel=1e-12)
    assert (point.low, point.high) == pytest.approx((rate.low, rate.high), rel=1e-12)
