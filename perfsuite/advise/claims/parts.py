"""The parts of a claims report, and how they share its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from perfsuite.advise.claims.results import ClaimsReport
from perfsuite.advise.time_limit import (
    TimeIsUpError,
    TimeLimit,
    divide_time,
    format_duration,
    interrupt_when_over,
)
from perfsuite.errors import PerfsuiteError


@dataclass(frozen=True, slots=True)
class Part:
    """A group of measurements: its heading, and its seconds in a run of the default time."""

    title: str
    seconds: float


# In a run of another time, each has the same share of it. Most goes to the steps, which are compiled first.
PARTS: Mapping[str, Part] = {
    "loading": Part("Loading", 20),
    "bottleneck": Part("Loader against training step", 20),
    "stalls": Part("Waiting for the loader", 15),
    "batch size": Part("Batch size", 15),
    "training": Part("Training step", 105),
    "epoch": Part("Whole epochs, loading included", 45),
    "memory": Part("Memory", 10),
    "inference": Part("Inference", 45),
    "processes": Part("Whole processes", 45),
}
DEFAULT_SECONDS = sum(part.seconds for part in PARTS.values())

# Measures within a limit, and returns the report with the results.
Measure = Callable[[ClaimsReport, TimeLimit], ClaimsReport]


def measure_parts(
    measures: Mapping[str, Measure],
    report: ClaimsReport,
    limit: TimeLimit,
    on_progress: Callable[[str], None],
    on_report: Callable[[ClaimsReport], None],
    interrupt: Callable[[TimeLimit], AbstractContextManager[None]] = interrupt_when_over,
) -> ClaimsReport:
    """Measure every part within its share of the time; one that takes longer is interrupted and named.

    `on_report` gets the results so far after each part.
    """
    report = replace(report, pending=tuple(PARTS[name].title for name in measures))
    shares = divide_time(limit, {name: PARTS[name].seconds for name in measures})
    for number, (name, share) in enumerate(shares, 1):
        title = PARTS[name].title
        on_progress(
            f"{number} of {len(measures)}: {title}, {format_duration(share.seconds)}; "
            f"{format_duration(limit.left)} left"
        )
        try:
            if share.is_over:
                raise TimeIsUpError
            with interrupt(share):
                report = measures[name](report, share)
        except TimeIsUpError:
            report = report.with_rejected({title: f"not done {after(share)}"})
            on_progress(f"{title}: {report.rejected[title]}")
        except PerfsuiteError as error:
            report = report.with_rejected({title: str(error)})
        report = replace(report, pending=report.pending[1:])
        on_report(report)
    return report


def after(share: TimeLimit) -> str:
    """Words on time that did not suffice, and how much to give; twice as much may suffice.

    >>> after(TimeLimit(8.0, 0.0, command_seconds=300.0))
    'after its 8.0 s of --seconds 300; give --seconds 600'
    """
    more = max(DEFAULT_SECONDS, 2 * share.command_seconds)
    had = f"after its {format_duration(share.seconds)} of --seconds {share.command_seconds:g}"
    return f"{had}; give --seconds {more:g}"
