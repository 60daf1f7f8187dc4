"""Everything that one pytest run measured, kept to be shown and stored at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from perfsuite.judge.judged import Judged
from perfsuite.judge.verdict import Verdict
from perfsuite.measure.environment import environment
from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.pytest_plugin.markers import FileLimit, read_limits_file
from perfsuite.pytest_plugin.options import Options, read_options
from perfsuite.pytest_plugin.pictures import key_of, own_pictures
from perfsuite.pytest_plugin.progress import Progress

if TYPE_CHECKING:
    from perfsuite.pytest_plugin.reference import Reference


@dataclass
class PerfSession:
    """What was judged so far, by workload."""

    options: Options
    progress: Progress
    environment: Environment
    file_limits: tuple[FileLimit, ...]
    judged: dict[str, Judged] = field(default_factory=dict)
    measured_by_perf: set[str] = field(default_factory=set)  # node ids; those of turns have many workloads
    reference: Reference | None = None  # what every workload is also held against
    stored_as: str | None = None
    not_stored_because: str | None = None

    @classmethod
    def begin(cls, config: pytest.Config) -> PerfSession:
        options = read_options(config)
        return cls(options, Progress(config), _environment(config), read_limits_file(options.limits_file))

    def keep(self, measurement: Measurement, limits: Sequence[Verdict] = ()) -> Judged:
        """Note what was measured, with what its limits and its reference say of it."""
        changes = self.reference.judge(measurement, self.environment) if self.reference else ()
        judged = self.judged[measurement.name] = Judged(measurement, tuple(limits), changes)
        return judged

    def keep_plain_benchmarks(self, benchmarks: list[Any]) -> None:
        """Tests that use pytest-benchmark's own fixture are shown and stored beside ours."""
        for measurement in plain_measurements(benchmarks):
            if measurement.name not in self.measured_by_perf | set(self.judged):
                self.keep(measurement)

    def show(self, reporter: Any, is_disabled: bool) -> None:
        """The table, and what became of the run."""
        if is_disabled:
            reporter.write_line(
                "perfsuite: nothing was measured: measuring is disabled (--benchmark-disable or xdist)",
                yellow=True,
            )
            return
        if not self.judged:
            return
        from perfsuite.report.terminal import render_run  # rich is not for runs that measure nothing

        has_colour = bool(reporter._tw.hasmarkup)
        reporter.section("perfsuite", bold=True)
        reporter.write(render_run(list(self.judged.values()), reporter._tw.fullwidth, has_colour))
        if self.reference is not None:
            reporter.write_line(f"changes are against {self.reference.told}")
            for warning in self.reference.warnings:
                reporter.write_line(warning, yellow=True)
        if self.not_stored_because:
            reporter.write_line(f"not stored: {self.not_stored_because}", red=True)
        elif self.stored_as:
            reporter.write_line(f"stored as {self.stored_as}; perfsuite compare {self.stored_as} OTHER")


def _environment(config: pytest.Config) -> Environment:
    """The machine's, and whose pictures are measured on: other pictures, another environment."""
    found, own = environment(), own_pictures(config)
    return found if own is None else replace(found, hard={**found.hard, "photos": key_of(own)})


def plain_measurements(benchmarks: list[Any]) -> Iterator[Measurement]:
    """Measurements of what pytest-benchmark's own fixture took."""
    for bench in benchmarks:
        if bench and bench.stats.data:
            yield Measurement(bench.fullname, tuple(bench.stats.data), calls_per_round=bench.iterations)
