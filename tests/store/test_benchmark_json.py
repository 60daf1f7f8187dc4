"""Other tools read our files, and we read pytest-benchmark's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from perfsuite.errors import StoreError
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run

PLAIN = """
import pytest
@pytest.mark.parametrize("n", [10, 1000])
def test_sorted(benchmark, n):
    benchmark(sorted, list(range(n)))
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as pytest-benchmark writes it, without our plugin."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "test_plain.py").write_text(PLAIN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:perfsuite", "-p", "no:cacheprovider"]
    options = ["--benchmark-json=0001_plain.json", "--benchmark-max-time=0.01", "--benchmark-min-rounds=3"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "0001_plain.json"


def test_a_file_of_pytest_benchmark_is_read(plain: Path) -> None:
    run = RunStore().load(plain)
    assert set(run.measurements) == {"test_plain.py::test_sorted[10]", "test_plain.py::test_sorted[1000]"}
    assert all(len(took.seconds_per_call) >= 3 for took in run.measurements.values())
    assert run.environment.hard["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert run.environment.hard["os"].startswith(sys.platform.capitalize()[:5])
    assert run.name == "0001_plain"


def test_without_samples_the_median_is_the_only_one(plain: Path, tmp_path: Path) -> None:
    told = json.loads(plain.read_text())
    for each in told["benchmarks"]:
        del each["stats"]["data"]
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps(told))
    before, after = RunStore().load(plain), RunStore().load(bare)
    assert after.seconds_per_item == before.seconds_per_item
    assert all(len(took.seconds_per_call) == 1 for took in after.measurements.values())


def test_pytest_benchmark_reads_our_files(plain: Path, tmp_path: Path) -> None:
    told = json.loads(plain.read_text())
    store = RunStore(tmp_path)
    for _ in range(2):
        store.save(a_run("main"), told)
    files = [str(path) for path in sorted(tmp_path.glob("*.json"))]
    command = [sys.executable, "-m", "pytest_benchmark", "compare", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test_sorted") == 4
    assert "Failed to load" not in done.stderr


def test_benchmark_tests_of_the_same_session_are_measurements_too(plain: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run = store.load(store.save(a_run("main"), json.loads(plain.read_text())))
    assert {"test_decode", "test_plain.py::test_sorted[10]"} <= set(run.measurements)


def test_the_fields_that_other_tools_read_are_there(plain: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    name = store.save(a_run("main"), json.loads(plain.read_text()))
    told = json.loads((tmp_path / f"{name}.json").read_text())
    assert {"machine_info", "commit_info", "benchmarks", "datetime", "version"} <= told.keys()
    for each in told["benchmarks"]:
        assert isinstance(each["fullname"], str)
        github_action_benchmark = {"ops", "stddev", "mean", "rounds"}
        bencher = {"mean", "stddev", "median", "iqr"}
        assert {key for key, value in each["stats"].items() if isinstance(value, int | float)} >= (
            github_action_benchmark | bencher
        )


def test_a_sparse_file_of_another_tool_is_read_or_its_damage_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"benchmarks": [{"fullname": "t", "stats": {"median": 1.5, "iterations": 4}}]}')
    run = RunStore().load(path)
    assert (run.measurements["t"].calls_per_round, run.commit, run.dirty) == (4, "", False)
    path.write_text('{"benchmarks": [{"fullname": "t", "stats": {"median": 1.5, "iterations": "many"}}]}')
    with pytest.raises(StoreError, match="whole number"):
        RunStore().load(path)
