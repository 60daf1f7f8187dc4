"""The interface of an export format, and the figures that several of them write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from perfsuite.judge.order_statistics import median_interval
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


def seconds_interval(measurement: Measurement) -> tuple[float, float]:
    """The 95 % interval of the median, within the samples where there are too few for it."""
    interval = median_interval(measurement.seconds_per_call, LEVEL)
    samples = measurement.seconds_per_call
    return max(interval.low, min(samples)), min(interval.high, max(samples))


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
