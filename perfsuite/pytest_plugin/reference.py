"""The reference of a pytest run: a stored run, or an accepted baseline.

Without times of this environment, counters judge, be they of another machine: they travel, seconds do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from perfsuite.filesystems import is_url
from perfsuite.judge.stored_runs import ComparisonSettings, compare_runs
from perfsuite.judge.verdict import Verdict
from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.pytest_plugin.options import PerfOptions
from perfsuite.store.baselines import BaselineStore
from perfsuite.store.references import ReferenceRuns, find_baseline, find_counters, resolve
from perfsuite.store.run import Run
from perfsuite.store.runs import RunStore
from perfsuite.store.summaries import RunSummary


@dataclass(frozen=True)
class Reference:
    """Accepted or named runs, and the other runs of this environment, which show how much runs differ."""

    description: str
    runs: tuple[Run, ...]
    earlier_runs: tuple[Run, ...]
    store: str
    counters_only: bool = False  # the runs are of another machine, or were not timed
    warnings: dict[str, None] = field(default_factory=dict)  # each once, in order

    def judge(self, measurement: Measurement, environment: Environment) -> tuple[Verdict, ...]:
        """Compare one workload with the reference.

        Each workload gets an equal share of the chance of a false alarm.
        """
        name = measurement.name
        reference_runs = [
            replace(run, measurements={name: run.measurements[name]})
            for run in self.runs
            if name in run.measurements
        ]
        if not reference_runs:
            return ()
        this_run = Run(
            name="now",
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            commit="",
            dirty=True,
            environment=environment,
            measurements={name: measurement},
        )
        workloads = len({each for run in self.runs for each in run.measurements})
        settings = ComparisonSettings(alpha=ComparisonSettings().alpha / workloads)
        if self.counters_only or not measurement.seconds_per_call:
            comparison = compare_runs(reference_runs, [this_run], (), settings)
            return tuple(verdict for verdict in comparison.verdicts if verdict.metric != "time")
        comparison = compare_runs(reference_runs, [this_run], self.history, settings)
        self.warnings.update(dict.fromkeys(comparison.warnings))
        return comparison.verdicts

    @cached_property
    def history(self) -> list[Run | RunSummary]:
        """The other runs of this environment, each once."""
        if not is_url(self.store) and not Path(self.store).is_dir():
            return [*self.earlier_runs]
        store = RunStore(self.store, on_message=self._add_warning)
        return ReferenceRuns(self.description, self.runs, self.earlier_runs).history(store)

    def _add_warning(self, damage: str) -> None:
        self.warnings[damage] = None


def find_reference(options: PerfOptions, environment: Environment) -> Reference | None:
    """Find what --perf-compare names, or the times of this environment, or the counters of any machine."""
    baselines, named = BaselineStore(options.baselines), options.compare_with
    if named is not None:
        resolved = resolve(str(named), environment, RunStore(options.store), baselines)
        return Reference(resolved.label, resolved.runs, resolved.earlier_runs, options.store)
    if not options.count_only and (own := find_baseline(environment, baselines, is_timed=True)) is not None:
        return Reference(own.label, own.runs, own.earlier_runs, options.store)
    if (counted := find_counters(environment, baselines)) is not None:
        return Reference(counted.label, counted.runs, (), options.store, counters_only=True)
    return None
