"""Comparing a pytest run with stored runs and baselines."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from perfsuite.measure.environment import detect_environment
from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.store.baselines import BaselineStore
from perfsuite.store.run import Run as StoredRun
from perfsuite.store.runs import RunStore
from tests.pytest_plugin.conftest import Run

SOURCE = "import time\ndef test_it(perf): perf(lambda: time.sleep(0.002))"
NAME = "test_project.py::test_it"


def stored_run(
    seconds: float, minute: int, environment: Environment, counters: dict[str, int] | None = None
) -> StoredRun:
    measurement = Measurement(NAME, tuple([seconds] * 9), counters=counters or {})
    return StoredRun(
        name="main",
        created_at=f"2026-01-01T{minute // 60:02d}:{minute % 60:02d}:00+00:00",
        commit=f"c{minute}",
        dirty=False,
        environment=environment,
        measurements={NAME: measurement},
    )


def store_history(root: Path, seconds: float, environment: Environment) -> None:
    """Store runs of 101 commits that differ by 1 %."""
    rng = random.Random(5)
    store = RunStore(root / ".perfsuite/runs")
    for minute in range(101):
        store.save(stored_run(seconds * rng.lognormvariate(0, 0.01), minute, environment), {})


def test_a_run_slower_than_its_history_fails_its_test(run: Run, pytester: pytest.Pytester) -> None:
    store_history(pytester.path, 0.0005, detect_environment())
    result = run(SOURCE, "--perf-compare=main")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["regressed: *", "*it *+*%*regressed*", "changes are against main"])


def test_a_run_faster_than_its_history_is_improved(run: Run, pytester: pytest.Pytester) -> None:
    store_history(pytester.path, 20.0, detect_environment())  # no machine is that slow
    result = run(SOURCE, "--perf-compare=main")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*it *-*%*improved*"])


def test_one_stored_run_is_too_few_to_report_a_regression(run: Run, pytester: pytest.Pytester) -> None:
    RunStore(pytester.path / ".perfsuite/runs").save(stored_run(0.0005, 1, detect_environment()), {})
    result = run(SOURCE, "--perf-compare=main")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*it *unclear*", "changes are against main", "*drift may hide one*"])


def test_the_baseline_of_this_environment_is_used_without_an_option(
    run: Run, pytester: pytest.Pytester
) -> None:
    BaselineStore(pytester.path / "benchmarks/baselines").accept(
        [stored_run(0.002, 1, detect_environment())], name="main"
    )
    result = run(SOURCE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["changes are against baseline main"])


def test_the_baseline_of_another_environment_is_not_used(run: Run, pytester: pytest.Pytester) -> None:
    elsewhere = Environment({"cpu": "another"})
    BaselineStore(pytester.path / "benchmarks/baselines").accept(
        [stored_run(0.002, 1, elsewhere)], name="main"
    )
    result = run(SOURCE)
    result.assert_outcomes(passed=1)
    assert "changes are against" not in result.stdout.str()


OPENS_A_FILE = "def test_it(perf): perf(lambda: open('x', 'w').close())"


Facts = Mapping[str, str]
NO_FACTS: Facts = MappingProxyType({})


def accept_of_another_machine(
    root: Path, opened_files: int, facts: Facts = NO_FACTS, libraries: Facts = NO_FACTS
) -> None:
    """A baseline whose times nothing here can keep; only counters can be compared with it."""
    here = detect_environment()
    elsewhere = Environment(
        {**here.hard, "cpu": "another", "cores": "96", **facts}, {**here.soft, **libraries}
    )
    one_run = stored_run(1e-9, 1, elsewhere, counters={"opened_files": opened_files})
    BaselineStore(root / "benchmarks/baselines").accept([one_run], name="main")


def test_counters_are_judged_against_the_baseline_of_another_machine(
    run: Run, pytester: pytest.Pytester
) -> None:
    accept_of_another_machine(pytester.path, opened_files=1)
    result = run(OPENS_A_FILE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["changes are against baseline main of another, 96 cores: counters, not*"])
    result.stdout.no_fnmatch_line("*unclear*")
    result.stdout.no_fnmatch_line("*differs*")


def test_a_counter_that_grew_beyond_that_of_another_machine_fails(
    run: Run, pytester: pytest.Pytester
) -> None:
    accept_of_another_machine(pytester.path, opened_files=0)
    result = run(OPENS_A_FILE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["regressed: *opened_files*"])
    result.stdout.no_fnmatch_line("*regressed: time*")


@pytest.mark.parametrize(
    "difference",
    [
        *({"facts": {fact: "another"}} for fact in ("torch", "python", "os", "images")),
        *(
            {"libraries": {library: "0.0.1"}}
            for library in ("torch", "numpy", "pillow", "opencv-python-headless")
        ),
    ],
    ids=str,
)
def test_counters_do_not_travel_between_versions_systems_and_images(
    run: Run, pytester: pytest.Pytester, difference: Mapping[str, Facts]
) -> None:
    accept_of_another_machine(pytester.path, opened_files=0, **difference)
    result = run(OPENS_A_FILE)
    result.assert_outcomes(passed=1)
    assert "changes are against" not in result.stdout.str()


def accept_counted(root: Path, opened_files: int, environment: Environment, name: str = "counters") -> None:
    runs = [
        replace(
            stored_run(1.0, minute, environment),
            commit="c0",
            measurements={NAME: Measurement(NAME, (), counters={"opened_files": opened_files})},
        )
        for minute in (1, 2, 3)
    ]
    BaselineStore(root / "benchmarks/baselines").accept(runs, name=name)


@pytest.mark.parametrize("options", [(), ("--perf-count-only",)])
def test_a_counted_baseline_judges_counters_and_no_times(
    run: Run, pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    accept_counted(pytester.path, opened_files=1, environment=detect_environment())
    result = run(OPENS_A_FILE, *options)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*kept*", "changes are against baseline counters of *: counters, not times"])
    result.stdout.no_fnmatch_line("*new*")


@pytest.mark.parametrize("options", [(), ("--perf-count-only",)])
def test_one_more_opened_file_is_red_against_a_counted_baseline(
    run: Run, pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    accept_counted(pytester.path, opened_files=0, environment=detect_environment())
    result = run(OPENS_A_FILE, *options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["regressed: opened_files: 0 -> 1 (+1)*"])
    result.stdout.re_match_lines([r"regressed  project: it$", r" +opened_files 0 -> 1 \(\+1\), exact"])


def test_a_run_that_counts_is_not_missing_its_times(run: Run, pytester: pytest.Pytester) -> None:
    own = stored_run(1e-9, 1, detect_environment(), counters={"opened_files": 1})
    BaselineStore(pytester.path / "benchmarks/baselines").accept([own], name="main")
    run(OPENS_A_FILE, "--perf-count-only").assert_outcomes(passed=1)
    run(OPENS_A_FILE, "--perf-count-only", "--perf-compare=baseline").assert_outcomes(passed=1)


def test_times_of_this_environment_win_over_a_newer_counted_baseline(
    run: Run, pytester: pytest.Pytester
) -> None:
    own = stored_run(0.002, 0, detect_environment(), counters={"opened_files": 1})
    BaselineStore(pytester.path / "benchmarks/baselines").accept([own], name="main")
    accept_counted(pytester.path, opened_files=1, environment=detect_environment())
    run(OPENS_A_FILE).stdout.fnmatch_lines(["changes are against baseline main"])
    run(OPENS_A_FILE, "--perf-count-only").stdout.fnmatch_lines(["changes are against baseline counters *"])


def test_the_baseline_of_this_environment_wins_over_that_of_another_machine(
    run: Run, pytester: pytest.Pytester
) -> None:
    accept_of_another_machine(pytester.path, opened_files=0)
    own = stored_run(0.002, 1, detect_environment(), counters={"opened_files": 1})
    BaselineStore(pytester.path / "benchmarks/baselines").accept([own], name="own")
    result = run(OPENS_A_FILE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["changes are against baseline own"])


def test_a_counter_that_grew_is_a_regression_without_any_history(run: Run, pytester: pytest.Pytester) -> None:
    one_run = stored_run(0.002, 1, detect_environment(), counters={"opened_files": 0})
    RunStore(pytester.path / ".perfsuite/runs").save(one_run, {})
    result = run("def test_it(perf): perf(lambda: open('x', 'w').close())", "--perf-compare=main")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["regressed: *opened_files*"])


def test_a_stored_reference_cannot_control_the_terminal(run: Run, pytester: pytest.Pytester) -> None:
    hostile = "count\x1b[31m"
    run_with_counter = stored_run(0.002, 1, detect_environment(), counters={hostile: 1})
    RunStore(pytester.path / ".perfsuite/runs").save(run_with_counter, {})
    result = run(SOURCE, "--perf-compare=main", "--color=no")
    assert "count" in result.stdout.str()
    assert "\x1b[31m" not in result.stdout.str()


@pytest.mark.parametrize("name", ["nowhere", "baseline", "missing.json"])
def test_a_missing_reference_stops_the_run_before_it_measures(run: Run, name: str) -> None:
    result = run(SOURCE, f"--perf-compare={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *"])
