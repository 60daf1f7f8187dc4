"""Runs that nobody measured."""

from __future__ import annotations

from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.store.run import Run

HERE = Environment({"cpu": "invented", "cores": "2", "python": "3.12", "torch": "2.11"}, {"kernel": "6.1"})


def a_run(
    name: str = "main",
    commit: str = "c0ffee",
    dirty: bool = False,
    environment: Environment = HERE,
    seconds: dict[str, float] | None = None,
    complete: bool = True,
    created_at: str = "2026-08-01T12:00:00+00:00",
    counters: dict[str, int] | None = None,
) -> Run:
    took = {
        workload: Measurement(workload, (median * 0.99, median, median * 1.01), counters=counters or {})
        for workload, median in (seconds or {"test_decode": 0.01}).items()
    }
    return Run(name, created_at, commit, dirty, environment, took, complete)
