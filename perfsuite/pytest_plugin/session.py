"""Everything that one pytest run measured, for its table and its stored run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from perfsuite.errors import redact_url
from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.verdict import Verdict
from perfsuite.measure.environment import detect_environment
from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.pytest_plugin.images import image_dir_key, own_image_dir
from perfsuite.pytest_plugin.markers import IMAGES_FACT, LimitsFileEntry, read_limits_file
from perfsuite.pytest_plugin.options import PerfOptions, read_options
from perfsuite.pytest_plugin.progress import SessionProgress
from perfsuite.report.text import escape_control_characters

if TYPE_CHECKING:
    from perfsuite.pytest_plugin.reference import Reference


@dataclass(kw_only=True)
class PerfSession:
    """The state of one pytest run: its options and environment, and the results so far by workload."""

    options: PerfOptions
    progress: SessionProgress
    environment: Environment
    file_limits: tuple[LimitsFileEntry, ...]
    results: dict[str, WorkloadRunResult] = field(default_factory=dict)
    perf_node_ids: set[str] = field(default_factory=set)  # of tests that called `perf`
    deselected_count: int = 0  # benchmarks that were collected and left out
    finished_count: int = 0  # tests that were run to their end, whatever that was
    uncollected_count: int = 0  # files and folders whose tests could not be collected
    reference: Reference | None = None  # what every workload is compared with
    stored_run_id: str | None = None
    store_error: str | None = None
    report_message: str = ""  # where the page is, or why it is not

    @classmethod
    def from_config(cls, config: pytest.Config) -> PerfSession:
        options, environment = read_options(config), _session_environment(config)
        return cls(
            options=options,
            progress=SessionProgress(config),
            environment=environment,
            file_limits=read_limits_file(options.limits_file, environment.hard),
        )

    def record(
        self, measurement: Measurement, limits: Sequence[Verdict] = (), aims: Sequence[Verdict] = ()
    ) -> WorkloadRunResult:
        """Record a measurement with the verdicts of its limits, and compare it with the reference."""
        changes = self.reference.judge(measurement, self.environment) if self.reference else ()
        result = WorkloadRunResult(measurement, tuple(limits), tuple(aims), changes)
        self.results[measurement.name] = result
        return result

    def record_plain_benchmarks(self, measurements: Iterable[Measurement]) -> None:
        """Record what pytest-benchmark's own fixture measured, unless it is there already."""
        for measurement in measurements:
            if measurement.name not in self.perf_node_ids | set(self.results):
                self.record(measurement)

    def write_summary(self, reporter: Any, is_disabled: bool) -> None:
        """Write the table, what it is compared with, and where the run is stored."""
        if is_disabled:
            reporter.write_line(
                "perfsuite: nothing was measured: measuring is disabled (--benchmark-disable or xdist)",
                yellow=True,
            )
            return
        if not self.results:
            return
        # rich takes a tenth of a second to import: not for runs that measure nothing
        from perfsuite.report.publish import printable
        from perfsuite.report.terminal.run_table import render_run

        table = render_run(
            list(self.results.values()),
            reporter._tw.fullwidth,
            color=bool(reporter._tw.hasmarkup),
            columns=self.options.columns,
            is_quiet=self.options.is_quiet,
        )
        reporter.section("perfsuite", bold=True)
        reporter.write(printable(table, os.environ))
        for line, style in self._summary_lines():
            shown = escape_control_characters(redact_url(line))
            reporter.write_line(printable(shown, os.environ), **style)

    def _summary_lines(self) -> Iterable[tuple[str, dict[str, bool]]]:
        """Lines from stored files among them, so that whoever prints them must escape them."""
        if self.reference is not None:
            yield f"changes are against {self.reference.description}", {}
            for warning in self.reference.warnings:
                yield warning, {"yellow": True}
        if self.store_error:
            yield f"not stored: {self.store_error}", {"red": True}
        elif self.stored_run_id:
            yield f"stored as {self.stored_run_id}; perfsuite compare {self.stored_run_id} OTHER", {}
        if self.report_message:
            yield self.report_message, {}


def _session_environment(config: pytest.Config) -> Environment:
    """Detect the machine, and add a key of the images where they are the user's own.

    Runs on different images are not comparable, so they must be different environments.
    """
    environment, folder = detect_environment(), own_image_dir(config)
    if folder is None:
        return environment
    return replace(environment, hard={**environment.hard, IMAGES_FACT: image_dir_key(folder)})
