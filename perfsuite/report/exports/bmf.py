"""Bencher Metric Format: https://bencher.dev/docs/reference/bencher-metric-format.

Its schema is https://bencher.dev/bmf.json. Upload the file with `bencher run --adapter json --file FILE`.
Latency is in nanoseconds, as Bencher's own measure is.
"""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.measure.measurement import Measurement
from perfsuite.report.exports.export_format import ExportFormat, finite_interval, timed_measurements
from perfsuite.report.formats.json import dump_json
from perfsuite.report.text import escape_control_characters
from perfsuite.store.run import Run

MAX_NAME = 1024  # characters of a benchmark's name
MAX_MEASURE = 64
_NANOSECONDS = 1e9


def render(runs: Sequence[Run]) -> str:
    """One object: benchmark, measure, value with its 95 % interval."""
    benchmarks = {}
    for name, measurement in timed_measurements(runs[0]).items():
        benchmarks[shorten_name(name)] = _measures(measurement)
    return dump_json(benchmarks)


def shorten_name(name: str) -> str:
    """The name within Bencher's limit, cut in the middle: both ends tell benchmarks apart.

    >>> shorten_name("test_a.py::test_read")
    'test_a.py::test_read'
    """
    escaped = escape_control_characters(name)
    if len(escaped) <= MAX_NAME:
        return escaped
    half = (MAX_NAME - 3) // 2
    return f"{escaped[:half]}...{escaped[-half:]}"


def _measures(measurement: Measurement) -> dict[str, dict[str, float]]:
    low, high = finite_interval(measurement)
    median = measurement.median_seconds_per_call
    measures = {
        "latency": {
            "value": median * _NANOSECONDS,
            "lower_value": low * _NANOSECONDS,
            "upper_value": high * _NANOSECONDS,
        }
    }
    if low > 0:
        items = measurement.items_per_call
        throughput = {"value": items / median, "lower_value": items / high, "upper_value": items / low}
        measures["throughput"] = throughput
    if measurement.memory and measurement.memory.peak_pss_bytes is not None:
        measures["peak-memory"] = {"value": float(measurement.memory.peak_pss_bytes)}
    for name, count in sorted(measurement.counters.items()):
        slug = name.replace("_", "-")
        if slug not in measures and len(slug) <= MAX_MEASURE:
            measures[slug] = {"value": float(count)}
    return measures


EXPORT = ExportFormat(render, "Bencher Metric Format, JSON", takes_one_run=True)
