"""CSV (RFC 4180): one row for each benchmark of each run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from perfsuite.measure.measurement import Measurement
from perfsuite.report.exports.export_format import ExportFormat, finite_interval
from perfsuite.report.text import escape_control_characters
from perfsuite.store.run import Run

COLUMNS = (
    "run", "created_at", "commit", "dirty", "environment", "benchmark", "unit", "items_per_call", "rounds",
    "median_seconds_per_call", "low_seconds_per_call", "high_seconds_per_call", "items_per_second",
    "peak_pss_bytes", "peak_cuda_allocated_bytes",
)  # fmt: skip
_FORMULA_STARTS = ("=", "+", "-", "@")


def render(runs: Sequence[Run]) -> str:
    """Times with the 95 % interval of the median, and a column for each counter; empty if not measured."""
    counters = sorted({name for run in runs for each in run.measurements.values() for name in each.counters})
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([*COLUMNS, *(_text(f"counter {name}") for name in counters)])
    for run in runs:
        for name, measurement in run.measurements.items():
            counted = [measurement.counters.get(counter, "") for counter in counters]
            writer.writerow([*_run_cells(run), _text(name), *_cells(measurement), *counted])
    return stream.getvalue()


def _run_cells(run: Run) -> list[object]:
    return [*map(_text, (run.name, run.created_at, run.commit)), int(run.dirty), run.fingerprint]


def _cells(measurement: Measurement) -> list[object]:
    memory = measurement.memory
    peaks = [memory.peak_pss_bytes, memory.peak_cuda_allocated_bytes] if memory else [None, None]
    times: list[object] = [""] * 4
    if measurement.seconds_per_call:
        seconds = measurement.median_seconds_per_call
        rate = measurement.items_per_call / seconds if seconds else ""
        times = [seconds, *finite_interval(measurement), rate]
    return [
        _text(measurement.unit),
        measurement.items_per_call,
        len(measurement.seconds_per_call),
        *times,
        *("" if peak is None else peak for peak in peaks),
    ]


def _text(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    escaped = escape_control_characters(text)
    return f"'{escaped}" if escaped.startswith(_FORMULA_STARTS) else escaped


EXPORT = ExportFormat(render, "CSV, a row for each benchmark of each run")
