"""Everything that one pytest run measured, kept to be shown and stored at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.verdict import Verdict
from perfsuite.measure.environment import detect_environment
from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.pytest_plugin.images import image_dir_key, own_images
from perfsuite.pytest_plugin.markers import LimitsFileEntry, read_limits_file
from perfsuite.pytest_plugin.options import PerfOptions, read_options
from perfsuite.pytest_plugin.progress import SessionProgress

if TYPE_CHECKING:
    from perfsuite.pytest_plugin.reference import Reference


@dataclass
class PerfSession:
    """What was judged so far, by workload."""

    options: PerfOptions
    progress: SessionProgress
    environment: Environment
    file_limits: tuple[LimitsFileEntry, ...]
    results: dict[str, WorkloadRunResult] = field(default_factory=dict)
    perf_node_ids: set[str] = field(default_factory=set)  # node ids; those of turns have many workloads
    reference: Reference | None = None  # what every workload is also held against
    stored_run_id: str | None = None
    store_error: str | None = None

    @classmethod
    def from_config(cls, config: pytest.Config) -> PerfSession:
        options = read_options(config)
        return cls(
            options,
            SessionProgress(config),
            _session_environment(config),
            read_limits_file(options.limits_file),
        )

    def record(self, measurement: Measurement, limits: Sequence[Verdict] = ()) -> WorkloadRunResult:
        """Note what was measured, with what its limits and its reference say of it."""
        changes = self.reference.judge(measurement, self.environment) if self.reference else ()
        judged = self.results[measurement.name] = WorkloadRunResult(measurement, tuple(limits), changes)
        return judged

    def record_plain_benchmarks(self, benchmarks: list[Any]) -> None:
        """Tests that use pytest-benchmark's own fixture are shown and stored beside ours."""
        for measurement in plain_measurements(benchmarks):
            if measurement.name not in self.perf_node_ids | set(self.results):
                self.record(measurement)

    def write_summary(self, reporter: Any, is_disabled: bool) -> None:
        """The table, and what became of the run."""
        if is_disabled:
            reporter.write_line(
                "perfsuite: nothing was measured: measuring is disabled (--benchmark-disable or xdist)",
                yellow=True,
            )
            return
        if not self.results:
            return
        from perfsuite.report.terminal.run_table import (
            render_run,  # rich is not for runs that measure nothing
        )

        has_color = bool(reporter._tw.hasmarkup)
        reporter.section("perfsuite", bold=True)
        reporter.write(render_run(list(self.results.values()), reporter._tw.fullwidth, has_color))
        if self.reference is not None:
            reporter.write_line(f"changes are against {self.reference.description}")
            for warning in self.reference.warnings:
                reporter.write_line(warning, yellow=True)
        if self.store_error:
            reporter.write_line(f"not stored: {self.store_error}", red=True)
        elif self.stored_run_id:
            reporter.write_line(
                f"stored as {self.stored_run_id}; perfsuite compare {self.stored_run_id} OTHER"
            )


def _session_environment(config: pytest.Config) -> Environment:
    """The machine's, and whose images are measured on: other images, another environment."""
    found, own = detect_environment(), own_images(config)
    return found if own is None else replace(found, hard={**found.hard, "images": image_dir_key(own)})


def plain_measurements(benchmarks: list[Any]) -> Iterator[Measurement]:
    """Measurements of what pytest-benchmark's own fixture took."""
    for bench in benchmarks:
        if bench and bench.stats.data:
            yield Measurement(bench.fullname, tuple(bench.stats.data), calls_per_round=bench.iterations)
