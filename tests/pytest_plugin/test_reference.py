"""Runs held against stored runs and baselines, from inside pytest."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from perfsuite.measure.environment import detect_environment
from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.store.baselines import BaselineStore
from perfsuite.store.run import Run as StoredRun
from perfsuite.store.runs import RunStore
from tests.pytest_plugin.conftest import Run

SOURCE = "import time\ndef test_it(perf): perf(lambda: time.sleep(0.002))"
NAME = "test_project.py::test_it"


def stored(seconds: float, at: int, where: Environment, counters: dict[str, int] | None = None) -> StoredRun:
    took = Measurement(NAME, tuple([seconds] * 9), counters=counters or {})
    when = f"2026-01-01T00:{at:02d}:00+00:00"
    return StoredRun("main", when, f"c{at}", False, where, {NAME: took})


def history(root: Path, seconds: float, where: Environment) -> None:
    draw = random.Random(5)
    for at in range(12):
        RunStore(root / ".perfsuite/runs").save(stored(seconds * draw.lognormvariate(0, 0.01), at, where), {})


def test_a_run_slower_than_its_history_fails_the_test_itself(run: Run, pytester: pytest.Pytester) -> None:
    history(pytester.path, 0.0005, detect_environment())
    result = run(SOURCE, "--perf-compare=main")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["regressed: *", "*it *+*%*regressed*", "changes are against main"])


def test_a_run_quicker_than_its_history_is_improved(run: Run, pytester: pytest.Pytester) -> None:
    history(pytester.path, 20.0, detect_environment())  # no machine is that busy
    result = run(SOURCE, "--perf-compare=main")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*it *-*%*improved*"])


def test_one_stored_run_is_too_little_to_accuse(run: Run, pytester: pytest.Pytester) -> None:
    RunStore(pytester.path / ".perfsuite/runs").save(stored(0.0005, 1, detect_environment()), {})
    result = run(SOURCE, "--perf-compare=main")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*it *unclear*", "changes are against main", "*may be drift*"])


def test_the_baseline_of_this_environment_is_used_without_being_asked_for(
    run: Run, pytester: pytest.Pytester
) -> None:
    BaselineStore(pytester.path / "benchmarks/baselines").accept(
        [stored(0.002, 1, detect_environment())], name="main"
    )
    result = run(SOURCE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["changes are against baseline main"])


def test_the_baseline_of_another_environment_is_not(run: Run, pytester: pytest.Pytester) -> None:
    elsewhere = Environment({"cpu": "another"})
    BaselineStore(pytester.path / "benchmarks/baselines").accept([stored(0.002, 1, elsewhere)], name="main")
    result = run(SOURCE)
    result.assert_outcomes(passed=1)
    assert "changes are against" not in result.stdout.str()


def test_a_counter_that_grew_is_a_finding_without_any_history(run: Run, pytester: pytest.Pytester) -> None:
    one_run = stored(0.002, 1, detect_environment(), counters={"opened_files": 0})
    RunStore(pytester.path / ".perfsuite/runs").save(one_run, {})
    result = run("def test_it(perf): perf(lambda: open('x', 'w').close())", "--perf-compare=main")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["regressed: *opened_files*"])


@pytest.mark.parametrize("name", ["nowhere", "baseline", "missing.json"])
def test_a_reference_that_is_not_there_stops_the_run_at_once(run: Run, name: str) -> None:
    result = run(SOURCE, f"--perf-compare={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *"])
