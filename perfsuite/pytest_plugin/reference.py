"""The reference of a pytest run: a stored run, or the accepted baseline of this environment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from perfsuite.errors import StoreError
from perfsuite.judge.stored_runs import ComparisonSettings, HistoricalRun, compare_runs
from perfsuite.judge.verdict import Verdict
from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.pytest_plugin.options import PerfOptions
from perfsuite.store.baselines import BaselineStore
from perfsuite.store.runs import RunStore
from perfsuite.store.schema import Run


@dataclass(frozen=True)
class Reference:
    """Accepted or named runs, and the other runs of this environment, which show how much runs differ."""

    description: str
    runs: tuple[Run, ...]
    earlier_runs: tuple[Run, ...]
    store: str
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
        comparison = compare_runs(reference_runs, [this_run], self.history, settings)
        self.warnings.update(dict.fromkeys(comparison.warnings))
        return comparison.verdicts

    @cached_property
    def history(self) -> list[HistoricalRun]:
        """The other runs of this environment, each once."""
        known = {(run.created_at, run.commit) for run in (*self.runs, *self.earlier_runs)}
        if "://" not in self.store and not Path(self.store).is_dir():
            return [*self.earlier_runs]
        store = RunStore(self.store, tell=self._add_warning)
        stored = store.history(self.runs[-1].fingerprint)
        return [*self.earlier_runs, *(run for run in stored if (run.created_at, run.commit) not in known)]

    def _add_warning(self, damage: str) -> None:
        self.warnings[damage] = None


def find_reference(options: PerfOptions, environment: Environment) -> Reference | None:
    """Find what --perf-compare names; without it the baseline of this environment, if there is one."""
    requested = options.compare_with
    kind, _, name = (requested or "baseline").partition(":")
    if requested is not None and (kind != "baseline" or "://" in requested):
        runs = RunStore(options.store).select(requested)
        return Reference(requested, runs, (), options.store)
    baseline = BaselineStore(options.baselines).find(environment, name or None)
    if baseline is not None:
        return Reference(f"baseline {baseline.name}", baseline.runs, baseline.earlier_runs, options.store)
    if requested is None:
        return None
    of_name = f" {name}" if name else ""
    raise StoreError(
        f"{options.baselines}: no baseline{of_name} of environment {environment.fingerprint};"
        " accept one with: perfsuite baseline accept NAME"
    )
