"""A run: the measurements of one process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from perfsuite.measure.measurement import Environment, Measurement


class Identifiable(Protocol):
    """A run or its summary."""

    @property
    def name(self) -> str: ...
    @property
    def created_at(self) -> str: ...
    @property
    def commit(self) -> str: ...


AnyRun = TypeVar("AnyRun", bound=Identifiable)


@dataclass(frozen=True, slots=True)
class Run:
    """The measurements of all workloads of one process, at one commit, in one environment."""

    name: str
    created_at: str  # ISO 8601
    commit: str
    dirty: bool
    environment: Environment
    measurements: Mapping[str, Measurement]
    complete: bool = True
    series: str = ""  # of the runs that one `pytest --perf-repeat` took, of both sides
    selection: str = ""  # why the run is only a part of the suite; empty for all of it
    broken_limits: tuple[str, ...] = ()  # of which workloads
    source: str | None = field(default=None, compare=False)  # the path or URL it was read from

    @property
    def fingerprint(self) -> str:
        return self.environment.fingerprint

    @property
    def seconds_per_item(self) -> dict[str, float]:
        """The median of each workload that was timed.

        >>> took = Measurement("test_decode", seconds_per_call=(0.2, 0.2), items_per_call=10)
        >>> Run("main", "2026-08-01", "c0ffee", False, Environment({}), {took.name: took}).seconds_per_item
        {'test_decode': 0.02}
        """
        return {
            name: measurement.median_seconds_per_call / measurement.items_per_call
            for name, measurement in self.measurements.items()
            if measurement.seconds_per_call
        }


def run_identity(run: Identifiable) -> tuple[str, str, str]:
    """What two copies of one run have in common, such as a run in a store and in a baseline."""
    return run.created_at, run.commit, run.name


def without_copies(runs: Iterable[AnyRun], of: Iterable[Identifiable]) -> list[AnyRun]:
    """The runs that are not copies of runs in `of`: a run that is counted twice narrows every interval.

    >>> run = Run("main", "2026-08-01", "c0ffee", False, Environment({}), {})
    >>> without_copies([run], of=[run])
    []
    """
    excluded = {run_identity(run) for run in of}
    return [run for run in runs if run_identity(run) not in excluded]
