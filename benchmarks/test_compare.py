"""The `perfsuite compare` command from start-up to verdicts, on stores of generated runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.stored_runs import fill_store
from perfsuite.pytest_plugin.fixture import Perf

SAMPLES = 50


@pytest.fixture(scope="module")
def hundred_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_store(tmp_path_factory.mktemp("hundred"), 100, SAMPLES)


@pytest.fixture(scope="module")
def thousand_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_store(tmp_path_factory.mktemp("thousand"), 1000, SAMPLES)


def compare(store: Path) -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "perfsuite", "compare", "main", "head", "--store", str(store)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, cwd=store, env=environment, check=False)
    assert done.returncode in (0, 10), done.stderr  # kept or unclear: these runs do not differ


@pytest.mark.ceiling(seconds_per_call="15 s")
@pytest.mark.aim(seconds_per_call="2 s")
def test_compare_with_100_stored_runs(perf: Perf, hundred_runs: Path) -> None:
    perf(lambda: compare(hundred_runs), items=100, unit="runs")


@pytest.mark.slow
@pytest.mark.ceiling(seconds_per_call="30 s")
@pytest.mark.aim(seconds_per_call="5 s")
def test_compare_with_1000_stored_runs(perf: Perf, thousand_runs: Path) -> None:
    perf(lambda: compare(thousand_runs), items=1000, unit="runs")


@pytest.mark.ceiling(seconds_per_call="1.5 s")
@pytest.mark.aim(seconds_per_call="300 ms")
def test_help(perf: Perf) -> None:
    perf(
        lambda: subprocess.run([sys.executable, "-m", "perfsuite", "--help"], capture_output=True, check=True)
    )
