"""Invented histories with known changes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from perfsuite.judge.history.trend import TrendSettings, analyze_workloads
from perfsuite.report.history.links import ForgeLinks
from perfsuite.report.history.words import HistoryReport
from perfsuite.store.history import EnvironmentHistory, HistoryCommit
from tests.store.sample_runs import HERE

COMMITS = 150
SLOWER = "benchmarks/test_loaders.py::test_fast_folder[threads]"
STEADY = "benchmarks/test_loaders.py::test_cache_raw"
DRIFTED = "benchmarks/test_training.py::test_step"
FASTER = "benchmarks/test_training.py::test_compile"
STEP = 138
LINKS = ForgeLinks("https://github.com/acme/vision")


def commit_hash(number: int) -> str:
    return f"{number:03x}" + "0ff1ce" * 6 + "0"


def a_history(columns: Mapping[str, np.ndarray], fingerprint: str = HERE.fingerprint) -> EnvironmentHistory:
    rows = len(next(iter(columns.values())))
    commits = tuple(
        HistoryCommit(
            commit_hash(number), f"2026-08-{1 + number % 28:02d}T12:00:00", (f"{number + 1:04d}_main",)
        )
        for number in range(rows)
    )
    return EnvironmentHistory(
        fingerprint, commits, tuple(columns), np.stack(list(columns.values()), axis=1), dirty_runs=2
    )


def sample_columns() -> dict[str, np.ndarray]:
    index = np.arange(COMMITS)
    noise = np.random.default_rng(3).normal(0, 0.008, (4, COMMITS))
    return {
        SLOWER: 0.010 * np.exp(noise[0] + 0.08 * (index >= STEP)),
        STEADY: 0.020 * np.exp(noise[1]),
        DRIFTED: 0.030 * np.exp(noise[2] + 0.0006 * index),
        FASTER: 0.040 * np.exp(noise[3] - 0.10 * (index >= 60)),
    }


def a_report(
    columns: Mapping[str, np.ndarray] | None = None,
    links: ForgeLinks = LINKS,
    fingerprint: str = HERE.fingerprint,
) -> HistoryReport:
    columns = columns or sample_columns()
    trends = analyze_workloads(columns, TrendSettings())
    return HistoryReport(a_history(columns, fingerprint), trends, HERE, links)
