"""A session's measurements as a stored run, with pytest-benchmark's own JSON beside them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from perfsuite.errors import StoreError
from perfsuite.pytest_plugin.session import PerfSession
from perfsuite.store.run import Run
from perfsuite.store.runs import RunStore


def save_run(session: PerfSession, config: pytest.Config, is_complete: bool) -> None:
    """Store the run; a store that cannot be written to is told at the end and loses no result shown."""
    benchmarks: Any = config._benchmarksession  # type: ignore[attr-defined]
    commit = config.hook.pytest_benchmark_generate_commit_info(config=config)
    run = Run(
        name=session.options.run_name or "run",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=str(commit.get("id", "unknown")),
        dirty=bool(commit.get("dirty")),
        environment=session.environment,
        measurements={name: judged.measurement for name, judged in session.results.items()},
        complete=is_complete,
    )
    plain = config.hook.pytest_benchmark_generate_json(
        config=config,
        benchmarks=benchmarks.benchmarks,
        include_data=False,
        machine_info=benchmarks.get_machine_info(),
        commit_info=commit,
    )
    try:
        session.stored_run_id = RunStore(session.options.store).save(run, plain)
    except StoreError as error:
        session.store_error = str(error)
