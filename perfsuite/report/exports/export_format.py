"""The interface of an export format, and the figures that several of them write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite

from perfsuite.judge.metrics import seconds_interval
from perfsuite.measure.measurement import Measurement
from perfsuite.store.run import Run

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """How runs become the text of another tool; `takes_one_run` where its file describes a single one."""

    render: Callable[[Sequence[Run]], str]
    description: str
    takes_one_run: bool = False


def timed_measurements(run: Run) -> dict[str, Measurement]:
    """The measurements that have samples, by name."""
    return {
        name: measurement for name, measurement in run.measurements.items() if measurement.seconds_per_call
    }


def finite_interval(measurement: Measurement) -> tuple[float, float]:
    """The 95 % interval of the median; the range of the samples where they are too few to bound it."""
    interval, samples = seconds_interval(measurement, LEVEL), measurement.seconds_per_call
    return (
        interval.low if isfinite(interval.low) else min(samples),
        interval.high if isfinite(interval.high) else max(samples),
    )


def milliseconds_since_1970(created_at: str) -> int:
    """The time of a run; 0 where its file does not say it.

    >>> milliseconds_since_1970("1970-01-01T00:01:00+00:00"), milliseconds_since_1970("")
    (60000, 0)
    """
    try:
        created = datetime.fromisoformat(created_at)
    except ValueError:
        return 0
    aware = created if created.tzinfo else created.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
