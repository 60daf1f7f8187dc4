"""Storing the measurements of a pytest run, with pytest-benchmark's own JSON beside them."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from perfsuite.errors import StoreError
from perfsuite.judge.verdict import Outcome
from perfsuite.pytest_plugin.benchmark_adapter import BenchmarkSessionAdapter
from perfsuite.pytest_plugin.options import SERIES_VARIABLE
from perfsuite.pytest_plugin.session import PerfSession
from perfsuite.store.run import Run
from perfsuite.store.runs import RunStore


def save_run(
    session: PerfSession, benchmarks: BenchmarkSessionAdapter, is_complete: bool, selection: str = ""
) -> None:
    """Store the run; where the store cannot be written, note why for the summary and raise nothing."""
    commit = benchmarks.commit_info()
    run = Run(
        name=session.options.run_name or "run",
        # Two runs of one series may start within the same second, and must not pass for copies.
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        commit=str(commit.get("id", "unknown")),
        dirty=bool(commit.get("dirty")),
        environment=session.environment,
        measurements={name: result.measurement for name, result in session.results.items()},
        complete=is_complete,
        series=os.environ.get(SERIES_VARIABLE, ""),
        selection=selection,
        broken_limits=tuple(
            name
            for name, result in session.results.items()
            if any(limit.outcome is Outcome.BROKEN for limit in result.limits)
        ),
    )
    try:
        session.stored_run_id = RunStore(session.options.store).save(run, benchmarks.build_json(commit))
    except StoreError as error:
        session.store_error = str(error)
