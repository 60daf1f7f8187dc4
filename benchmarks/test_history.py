"""The `perfsuite history` command on ten thousand stored runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.stored_runs import fill_store
from perfsuite.pytest_plugin.fixture import Perf

RUNS = 10_000


@pytest.fixture(scope="module")
def ten_thousand_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It takes minutes, and 1.5 GB of disk."""
    return fill_store(tmp_path_factory.mktemp("history"), RUNS, samples=5)


@pytest.mark.slow
@pytest.mark.ceiling(seconds_per_call="120 s", peak_memory_growth="1 GB")
@pytest.mark.aim(seconds_per_call="30 s")
def test_history_of_10_000_stored_runs(perf: Perf, ten_thousand_runs: Path) -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "perfsuite", "history", "--store", str(ten_thousand_runs)]
    environment = {**os.environ, "PYTHONPATH": str(root)}

    def history() -> None:
        done = subprocess.run(command, capture_output=True, cwd=root, env=environment, check=False)
        assert done.returncode == 0, done.stderr

    perf(history, items=RUNS, unit="runs")
