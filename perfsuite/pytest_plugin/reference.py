"""What this run is held against: a stored run, or the accepted baseline of this environment."""

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
    """Accepted or named runs, and the other runs of this environment, which tell how much runs differ."""

    description: str
    runs: tuple[Run, ...]
    earlier_runs: tuple[Run, ...]
    store: str
    warnings: dict[str, None] = field(default_factory=dict)  # each once, in the order they came

    def judge(self, measurement: Measurement, environment: Environment) -> tuple[Verdict, ...]:
        """One workload against the reference; it spends its share of the chance of a false alarm."""
        name = measurement.name
        before = [
            replace(run, measurements={name: run.measurements[name]})
            for run in self.runs
            if name in run.measurements
        ]
        if not before:
            return ()
        now = Run(
            name="now",
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            commit="",
            dirty=True,
            environment=environment,
            measurements={name: measurement},
        )
        workloads = len({each for run in self.runs for each in run.measurements})
        settings = ComparisonSettings(alpha=ComparisonSettings().alpha / workloads)
        found = compare_runs(before, [now], self.history, settings)
        self.warnings.update(dict.fromkeys(found.warnings))
        return found.verdicts

    @cached_property
    def history(self) -> list[HistoricalRun]:
        taken = {(run.created_at, run.commit) for run in (*self.runs, *self.earlier_runs)}
        if "://" not in self.store and not Path(self.store).is_dir():
            return [*self.earlier_runs]
        store = RunStore(self.store, tell=self._add_warning)
        kept = store.history(self.runs[-1].fingerprint)
        return [*self.earlier_runs, *(run for run in kept if (run.created_at, run.commit) not in taken)]

    def _add_warning(self, damage: str) -> None:
        self.warnings[damage] = None


def find_reference(options: PerfOptions, environment: Environment) -> Reference | None:
    """What --perf-compare names; without it the baseline of this environment, None where there is none."""
    named = options.compare_with
    kind, _, called = (named or "baseline").partition(":")
    if kind != "baseline" or "://" in (named or ""):
        runs = RunStore(options.store).select(str(named))
        return Reference(str(named), runs, (), options.store)
    found = BaselineStore(options.baselines).find(environment, called or None)
    if found is not None:
        return Reference(f"baseline {found.name}", found.runs, found.earlier_runs, options.store)
    if named is None:
        return None
    raise StoreError(
        f"{options.baselines}: holds no baseline for environment {environment.fingerprint};"
        " accept one with: perfsuite baseline accept NAME"
    )
