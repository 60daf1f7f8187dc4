"""github-action-benchmark with `tool: customSmallerIsBetter`: an array of name, unit, value, range and extra.

https://github.com/benchmark-action/github-action-benchmark (README, and `extractCustomBenchmarkResult`).
"""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.measure.measurement import Measurement
from perfsuite.report.exports.export_format import ExportFormat, finite_interval, timed_measurements
from perfsuite.report.formats.json import dump_json
from perfsuite.report.text import escape_control_characters
from perfsuite.store.run import Run


def render(runs: Sequence[Run]) -> str:
    """Times in milliseconds per call; the unit never changes, since the action compares bare values."""
    timed = timed_measurements(runs[0])
    return dump_json([_entry(name, measurement) for name, measurement in timed.items()])


def _entry(name: str, measurement: Measurement) -> dict[str, object]:
    low, high = finite_interval(measurement)
    return {
        "name": escape_control_characters(name),
        "unit": "ms",
        "value": measurement.median_seconds_per_call * 1e3,
        "range": f"{(high - low) / 2 * 1e3:.6g}",
        "extra": f"{len(measurement.seconds_per_call)} rounds of {measurement.calls_per_round} calls\n"
        f"{measurement.items_per_call:g} {escape_control_characters(measurement.unit)} per call",
    }


EXPORT = ExportFormat(render, "github-action-benchmark, customSmallerIsBetter", takes_one_run=True)
